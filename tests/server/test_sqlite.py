"""A store in a file: what is no store is refused and left as it was, and nothing is ever half done."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from kling_mock.core.model import Append, Page, Post, PutTask, Reads, Record, Request
from kling_mock.server import sqlite_file
from kling_mock.server.app import answer
from kling_mock.server.sqlite import SqliteStore
from kling_mock.server.store import StoreError, open_store
from tests.conftest import AT, Client
from tests.server.sqlite_worker import VIDEOS, kling, make
from tests.server.storing import ANN, Keeper, at_once, entry, exchange, hook, ids, task

NOBODY = 65534


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "store.db"


def opened(file: Path, **words: Any) -> Keeper:
    """The store in a file."""
    return Keeper(SqliteStore(str(file), **words))


def filled(file: Path, tasks: int = 50) -> None:
    """A store that was used and closed."""
    kept = opened(file)
    kept.store.add_account(ANN)
    kept.do(*(PutTask(task(f"t{n}", request="x" * 500)) for n in range(tasks)), Append((entry("reserve", 1),)))
    kept.store.close()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refusal(file: Path) -> str:
    """Why a file is refused: one line that names it. No byte of any file has changed."""
    before = contents(file.parent) if file.parent.is_dir() else {}
    with pytest.raises(StoreError) as refused:
        SqliteStore(str(file), timeout=0.1)
    assert (contents(file.parent) if file.parent.is_dir() else {}) == before, "the file was touched"
    message = str(refused.value)
    assert message.startswith(f"the store {file} ")
    assert "\n" not in message
    assert "; " in message, "no next step"
    return message.removeprefix(f"the store {file} ")


# What is refused


def test_a_file_that_is_no_database(file: Path) -> None:
    """A text, whose name was perhaps a slip."""
    file.write_text("my precious notes\n" * 100)
    assert refusal(file) == "is no SQLite database; name another file"


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_another_programs_database(file: Path, mode: str) -> None:
    """Whatever is in it, also with a log that was not yet written back."""
    other = sqlite3.connect(file)
    other.execute(f"PRAGMA journal_mode = {mode}")
    other.execute("CREATE TABLE accounts (id)")
    other.commit()
    assert refusal(file) == "is another program's SQLite database; name another file"
    other.close()


def test_a_file_of_a_later_format(file: Path) -> None:
    """What a newer version wrote is not guessed at."""
    filled(file)
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA user_version = 2")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    assert refusal(file).startswith("was written by another kling-mock (format 2, this one knows 1); name a new file")


def cut(whole: bytes) -> bytes:
    """The second half is missing."""
    return whole[: len(whole) // 2]


def crossed(whole: bytes) -> bytes:
    """Pages in the middle are noise."""
    middle = len(whole) // 8192 * 4096
    return whole[:middle] + b"\xa5" * 8192 + whole[middle + 8192 :]


def headless(whole: bytes) -> bytes:
    """Only the first half of the header is there."""
    return whole[:50]


@pytest.mark.parametrize("damage", [cut, crossed, headless])
def test_a_damaged_file(file: Path, damage: Callable[[bytes], bytes]) -> None:
    """It is found before anything is written to it."""
    filled(file)
    file.write_bytes(damage(file.read_bytes()))
    assert refusal(file) == "is damaged; name a new file, or move this one (and its -wal and -shm) away"


def test_a_damaged_row(file: Path) -> None:
    """What SQLite cannot know to be damaged is found when it is read."""
    filled(file)
    with sqlite3.connect(file) as other:
        other.execute("UPDATE tasks SET body = ? WHERE id = 't7'", (b'{"id": 7}',))
    other.close()
    kept = opened(file)
    assert kept.store.task("toy", "t6")
    with pytest.raises(StoreError, match=r"the store holds a damaged task \(.+\); name a new file"):
        kept.store.task("toy", "t7")


def test_a_directory(tmp_path: Path) -> None:
    """A file in it was meant."""
    (tmp_path / "folder").mkdir()
    assert refusal(tmp_path / "folder") == "is a directory; name a file in it"


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    """It is not made: it may be a slip."""
    file = tmp_path / "no" / "such" / "store.db"
    assert refusal(file) == f"cannot be made: there is no folder {file.parent}; make it first"
    assert list(tmp_path.iterdir()) == []


def test_a_file_beneath_a_file(file: Path) -> None:
    """As any other path that cannot be."""
    file.write_text("")
    for name, why in (("store.db", "Not a directory"), ("nul\0", "embedded null byte"), ("x" * 300, "Not a directory")):
        with pytest.raises(StoreError, match=rf"cannot be reached \({why}\); name another file"):
            SqliteStore(str(file / name))


def test_a_pipe(file: Path) -> None:
    """Opening it would wait for ever."""
    os.mkfifo(file)
    assert refusal(file) == "is no regular file; name another one"


@contextmanager
def somebody_else() -> Iterator[None]:
    """As a user who is not root, to whom permissions mean something."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody can reach and nobody else can write to; pytest's own are closed to others."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_file_that_may_only_be_read(public: Path) -> None:
    """Neither opened for writing later, nor half used."""
    filled(public / "store.db")
    (public / "store.db").chmod(0o444)
    public.chmod(0o555)
    with somebody_else():
        message = refusal(public / "store.db")
    public.chmod(0o755)
    assert message in (
        "may not be written; make it and its folder writable for this user",
        "cannot be opened; make its folder writable for this user",
    )


def test_a_folder_that_may_only_be_read(public: Path) -> None:
    """A new file cannot be made there."""
    public.chmod(0o555)
    with somebody_else():
        message = refusal(public / "store.db")
    public.chmod(0o755)
    assert message == "cannot be opened; make its folder writable for this user"


def test_a_file_that_may_not_be_read(public: Path) -> None:
    """It is somebody else's."""
    filled(public / "store.db")
    (public / "store.db").chmod(0o000)
    with somebody_else(), pytest.raises(StoreError, match=r"cannot be read \(Permission denied\); name another file"):
        SqliteStore(str(public / "store.db"))


def test_a_locked_file(file: Path) -> None:
    """Somebody holds the whole file: it is waited for, then said."""
    filled(file)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="is locked by another program; stop what holds it, or name another file"):
        SqliteStore(str(file), timeout=0.1)
    other.close()
    assert opened(file).store.task("toy", "t0"), "afterwards it can be used"


# What is taken


def test_an_empty_file_is_a_new_one(file: Path) -> None:
    """As `mktemp` makes it."""
    file.touch()
    assert opened(file).found().ordinal == 1


def test_all_is_there_when_it_is_opened_again(file: Path) -> None:
    """Tasks, accounts, ledgers, journal, clocks, counters and the outbox."""
    kept = opened(file)
    kept.store.add_account(ANN)
    kept.do(PutTask(task("t", alias="a")), Append((entry("reserve", 3),)), Record(exchange()), Post((hook("h"),)))
    kept.store.number("n")

    def known(kept: Keeper) -> tuple[object, ...]:
        store, asked = kept.store, Reads(("t",), "a", Page("video", 1, 9), balances=True)
        rows = (*store.tasks(), *store.accounts(), *store.exchanges(), *store.webhooks(), *store.entries("ann"))
        return rows, store.fetch(asked, "toy", ANN, lambda: AT)

    before = known(kept)
    kept.store.close()
    assert contents(file.parent).keys() == {"store.db"}, "the log was written back"
    again = opened(file)
    assert known(again) == before
    assert again.store.number("n") == 2


@pytest.mark.parametrize("name", [":memory:", "a b%20?mode=ro#x.db", "file:x", "日本.db"])
def test_a_name_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Relative to where the store was opened, whatever SQLite might read into it."""
    monkeypatch.chdir(tmp_path)
    store = open_store(f"sqlite:///{name}")
    monkeypatch.chdir("/")
    at_once(16, lambda _: store.number("n"))
    store.close()
    assert contents(tmp_path).keys() == {name}


def test_a_closed_store_says_so(file: Path) -> None:
    """A late thread gets no other error."""
    kept = opened(file)
    kept.store.close()
    kept.store.close()
    with pytest.raises(StoreError, match=r"store\.db is closed"):
        kept.found()


def test_no_secret_and_no_file_is_written_to_disk(file: Path) -> None:
    """The journal holds neither tokens nor images, not even before it is read."""
    client = kling(SqliteStore(str(file)))
    image = "iVBORw0KGgo" + "A" * 3000
    key = "sk-" + "verysecret" * 3
    headers = {"authorization": f"Bearer {key}", "x-note": key}
    client.send("POST", VIDEOS, {"image": image, "prompt": f"with {key}"}, headers, query=f"key={key}")
    (row,) = client.mock.store.exchanges()
    client.mock.store.close()
    assert "<credential>" in str(row.request["body"]), "the call was written down"
    with sqlite3.connect(file) as looked:
        (written,) = looked.execute("SELECT body FROM exchanges").fetchone()
    looked.close()
    assert key.encode() not in written
    assert b"A" * 200 not in file.read_bytes()


def test_threads_queue_for_one_connection_that_writes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not sleep at the file's lock, and no more connections stay open than calls were made at a time."""
    made: list[sqlite3.Connection] = []

    def connect(*words: Any, **named: Any) -> sqlite3.Connection:
        made.append(sqlite3.connect(*words, **named))
        return made[-1]

    monkeypatch.setattr(sqlite_file, "connect", connect)
    kept = opened(file)
    at_once(100, lambda _: kept.found())
    assert len(made) == 1
    at_once(100, lambda _: kept.store.accounts())
    assert len(made) <= 9, "one for each thread that reads, and the one that writes"


# What fails on the way


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is as on a small disk."""

    def connect(*words: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(*words, **named)
        connection.execute("PRAGMA max_page_count = 60")
        return connection

    monkeypatch.setattr(sqlite_file, "connect", connect)


@pytest.mark.usefixtures("small")
def test_a_full_disk_leaves_nothing_half_done(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision that did not fit is undone in every table; with more room the store goes on from before it."""
    kept, made = opened(file), 0

    def fill() -> None:
        nonlocal made
        for made in range(1000):
            effects = (Append((entry("reserve", 1),)), PutTask(task(f"t{made}", request="x" * 3000)))
            kept.do(*effects, Record(exchange(made)))

    with pytest.raises(StoreError, match=r"store\.db cannot grow, the disk is full; make room and try again"):
        fill()
    monkeypatch.undo()
    for again in (kept, opened(file)):
        known = len(ids(again.store.tasks())), len(again.store.entries("ann")), len(list(again.store.exchanges()))
        assert known == (made, made, made), "of the failed call something is there"
    assert opened(file).found().ordinal == made + 1, "nor its number"
    with sqlite3.connect(file) as looked:
        assert looked.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    looked.close()


@pytest.mark.usefixtures("small")
def test_a_full_disk_is_the_providers_500(file: Path) -> None:
    """The client sees what the provider answers when it fails itself, and reading goes on."""
    client = kling(SqliteStore(str(file)))
    first = make(client).json["data"]["task_id"]
    asked = _asked(client)
    statuses = [answer(client.mock, asked).status for _ in range(100)]
    assert {200, 500} == set(statuses)
    assert statuses[-1] == 500, "a full disk stays full"
    assert client.mock.store.task("kling", first)


def _asked(client: Client) -> Request:
    """A create as bytes."""
    headers = {
        "authorization": client.credential("POST", VIDEOS)["authorization"] or "",
        "content-type": "application/json",
    }
    return Request("POST", VIDEOS, "", headers, b'{"image": "https://example.com/a.png"}')


def test_the_header_says_whose_file_it_is(file: Path) -> None:
    """From its first page on, so that a process killed at once leaves no file that is refused later."""
    kept = opened(file)
    head = file.read_bytes()[:100]
    assert struct.unpack(">I", head[68:72]) == (sqlite_file.APPLICATION,)
    assert struct.unpack(">I", head[60:64]) == (sqlite_file.FORMAT,)
    kept.store.close()
