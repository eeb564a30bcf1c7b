// A client of Kling in Node, tested against `kling-mock serve` by Node's own test runner:
//
//   kling-mock serve &
//   eval "$(kling-mock env)"
//   node --test docs/node/
//
// The client knows a base URL and credentials, as against the real API; only the tests know that it is a mock.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { beforeEach, test } from "node:test";

// --- the client

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function token({ accessKey, secretKey }) {
  const now = Math.floor(Date.now() / 1000);
  const head = base64url({ alg: "HS256", typ: "JWT" });
  const body = base64url({ iss: accessKey, exp: now + 1800, nbf: now - 5 });
  const signature = createHmac("sha256", secretKey).update(`${head}.${body}`).digest("base64url");
  return `${head}.${body}.${signature}`;
}

class Kling {
  constructor(baseUrl, keys) {
    Object.assign(this, { baseUrl, keys });
  }

  async call(method, path, body) {
    const answer = await fetch(this.baseUrl + path, {
      method,
      headers: { Authorization: `Bearer ${token(this.keys)}`, "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const { code, message, data } = await answer.json();
    if (code !== 0) throw Object.assign(new Error(message), { status: answer.status, code });
    return data;
  }

  imageToVideo(job) {
    return this.call("POST", "/v1/videos/image2video", job);
  }

  async wait(task, { sleep }) {
    for (let polls = 0; polls < 60; polls++) {
      const found = await this.call("GET", `/v1/videos/image2video/${task.task_id}`);
      if (found.task_status === "failed") throw new Error(found.task_status_msg);
      if (found.task_status === "succeed") return found.task_result.videos[0].url;
      await sleep(10);
    }
    throw new Error("no end in sight");
  }
}

// --- the mock, as the tests steer it

const BASE = process.env.KLING_BASE_URL;

async function control(method, path, body) {
  const answer = await fetch(`${BASE}/_mock${path}`, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

let account, kling;
const JOB = { image: "https://example.com/first.png", prompt: "a lighthouse at dusk", mode: "std" };
const sleep = (seconds) => control("POST", "/clock", { account: account.id, advance: `${seconds}s` });

beforeEach(async () => {
  // An account of the test's own: other tests neither see it nor move its clock.
  account = await control("POST", "/accounts", { provider: "kling" });
  const { access_key: accessKey, secret_key: secretKey } = account.credentials;
  kling = new Kling(BASE, { accessKey, secretKey });
});

test("a job ends with a video that can be had", async () => {
  const url = await kling.wait(await kling.imageToVideo(JOB), { sleep });
  const video = await fetch(url);
  assert.equal(video.headers.get("content-type"), "video/mp4");
  assert.ok((await video.arrayBuffer()).byteLength > 1000);
});

test("a task that fails says why", async () => {
  const task = await kling.imageToVideo({ ...JOB, prompt: "[mock:fail] a lighthouse" });
  await assert.rejects(kling.wait(task, { sleep }), { message: "Failure to pass the risk control system" });
});

test("a wrong mode is refused before it costs anything", async () => {
  await assert.rejects(kling.imageToVideo({ ...JOB, mode: "fast" }), { status: 400, code: 1201 });
  const { packs } = await control("GET", `/accounts/${account.id}/ledger`);
  assert.ok(packs.every((pack) => Number(pack.spent) === 0 && Number(pack.reserved) === 0));
});

test("every request was as the documents have it", async () => {
  await kling.wait(await kling.imageToVideo(JOB), { sleep });
  const { exchanges } = await control("GET", `/journal?account=${account.id}`);
  assert.deepEqual(exchanges.flatMap((exchange) => exchange.violations), []);
});
