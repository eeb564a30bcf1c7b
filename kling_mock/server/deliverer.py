"""The deliverer: threads that send what is due, beside the server and never on a request's path.

A task's webhooks go out one after the other, in the order in which they are due; tasks do not wait for each other, and
a receiver that is slow keeps only itself waiting. No thread decides a state: what is due follows from the clocks alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from heapq import heappop, heappush
from itertools import count

from kling_mock.server.store import Lease
from kling_mock.server.targets import receiver
from kling_mock.server.webhooks import Webhooks

log = logging.getLogger("kling_mock")
MOST = 1000
"""How many rows to one receiver this process holds before it has sent them; as many are read at once."""
THREADS = 32
"""How many send at once. A receiver to which none is sent gets a thread all the same, up to MOST_THREADS."""
MOST_THREADS = 256
PER_RECEIVER = 8
LOOK_SECONDS = 0.1
"""How long until it looks again by itself: time has passed, or another process has posted something."""
STOP_SECONDS = 2.0
PAUSE = 4
"""How many times longer than a look that gave rows back took the next one waits."""
LONGEST_PAUSE_SECONDS = 1.0

Key = tuple[str, str]


class _Lane:
    """The rows of one task that wait for their turn, with the wall time until which each may be sent."""

    def __init__(self, key: Key, to: str) -> None:
        self.key, self.to, self.busy = key, to, False
        self.rows: list[tuple[int, int, Lease, int]] = []


class Deliverer:
    """Sends the webhooks of one mock. `start` and `wake` may be called at any time, from any thread."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks
        self._lock = threading.Condition()
        self._due = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lanes: dict[Key, _Lane] = {}
        self._busy: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._workers = 0
        self._order = count()

    def start(self) -> None:
        """Start sending, unless it has been started."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._stopping.clear()
                self._thread = threading.Thread(target=self._run, name="kling-mock webhooks", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Take on no more, give back what was not begun, and wait a little for what was."""
        self._stopping.set()
        self._due.set()
        thread = self._thread
        if thread is not None:
            thread.join(STOP_SECONDS)
        with self._lock:
            lanes = list(self._lanes.values())
        for lane in lanes:
            self._give_back(lane)
        with self._lock:
            self._lock.wait_for(lambda: not self._workers, STOP_SECONDS)

    def wake(self) -> None:
        """Look at once: something may have become due."""
        self._due.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._due.clear()
            began, taken, beyond = time.monotonic(), 0, 0
            try:
                taken, beyond = self._take()
            except Exception:
                log.exception("the outbox cannot be read; it is tried again")
            if beyond:
                self._stopping.wait(min(LONGEST_PAUSE_SECONDS, PAUSE * (time.monotonic() - began)))
            if not taken:
                self._due.wait(LOOK_SECONDS)

    def _take(self) -> tuple[int, int]:
        """Take on what is due and let it be sent; give back what is beyond a receiver's share.

        That is done when all has been read: what is due to others may stand behind it. Gives how many rows were taken
        on and how many given back.
        """
        taken, beyond, full = 0, list[Lease](), set[str]()
        try:
            leases = self._webhooks.lease(MOST)
            while leases:
                # An attempt that begins later than this might outlast its lease.
                until = self._webhooks.clocks.wall() + self._webhooks.longest_ms
                with self._lock:
                    left = [lease for lease in leases if not self._enqueue(lease, until, full)]
                    self._staff()
                beyond += left
                taken += len(leases) - len(left)
                leases = self._webhooks.lease(MOST) if len(leases) == MOST and not self._stopping.is_set() else []
        finally:
            for lease in beyond:
                self._webhooks.store.settle_webhook(lease.webhook)
        return taken, len(beyond)

    def _enqueue(self, lease: Lease, until: int, full: set[str]) -> bool:
        """Hold a row, unless its receiver is `full`; what is due after a row that was not held is not held either."""
        row = lease.webhook
        key, to = (row.provider, row.task), receiver(row.url)
        if self._held[to] >= MOST:
            full.add(to)
        if to in full:
            return False
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(key, to)
        heappush(lane.rows, (row.due, next(self._order), lease, until))
        self._held[lane.to] += 1
        return True

    def _staff(self) -> None:
        """Start threads for the lanes that may be walked, and for receivers that would wait for another's threads."""
        waiting = Counter(lane.to for lane in self._lanes.values() if not lane.busy)
        more = sum(min(lanes, PER_RECEIVER - self._busy[to]) for to, lanes in waiting.items())
        wanted = min(THREADS, more + self._workers)
        starved = sum(not self._busy[to] for to in waiting)
        wanted = min(MOST_THREADS, max(wanted, self._busy.total() + starved))
        for _ in range(wanted - self._workers):
            self._workers += 1
            threading.Thread(target=self._work, name="kling-mock webhook", daemon=True).start()

    def _work(self) -> None:
        """Walk one lane after the other, as long as there is one that may be walked."""
        while (lane := self._pick()) is not None:
            while (lease := self._next(lane)) is not None:
                self._send(lane, lease)
            self._due.set()

    def _pick(self) -> _Lane | None:
        """The longest waiting lane of the receiver to which the least is being sent."""
        with self._lock:
            free = [row for row in self._lanes.values() if not row.busy and self._busy[row.to] < PER_RECEIVER]
            if free and not self._stopping.is_set():
                lane = min(free, key=lambda row: self._busy[row.to])
                lane.busy = True
                self._busy[lane.to] += 1
                return lane
            self._workers -= 1
            self._lock.notify_all()
            return None

    def _next(self, lane: _Lane) -> Lease | None:
        """The lane's next row. Where its lease may not last long enough the lane's rows go back: they are due anew."""
        with self._lock:
            late = bool(lane.rows) and self._webhooks.clocks.wall() > lane.rows[0][3]
            if lane.rows and not late and not self._stopping.is_set():
                self._held[lane.to] -= 1
                return heappop(lane.rows)[2]
        if late:
            try:
                self._give_back(lane)
            except Exception:
                log.exception(
                    "rows of the outbox could not be given back; they are sent when their leases have run out"
                )
        with self._lock:
            lane.busy = False
            self._busy[lane.to] -= 1
            if not lane.rows:
                del self._lanes[lane.key]
            return None

    def _send(self, lane: _Lane, lease: Lease) -> None:
        try:
            after = self._webhooks.attempt(lease)
            if after is not None and after.outcome is None and after.due <= self._webhooks.clocks.now(after.account):
                # It may be due before what waits behind it: the store knows the order.
                self._give_back(lane)
        except Exception:
            log.exception("the webhook %s could not be written back; it will be sent again", lease.webhook.id)

    def _give_back(self, lane: _Lane) -> None:
        with self._lock:
            rows, lane.rows = lane.rows, []
            self._held[lane.to] -= len(rows)
        for _, _, lease, _ in rows:
            self._webhooks.store.settle_webhook(lease.webhook)
