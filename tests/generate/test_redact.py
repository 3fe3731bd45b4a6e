"""Secrets in well-known places."""

from __future__ import annotations

import msgspec
import pytest

from harden.generate.redact import MASK, is_masked, redact_command, redact_run, redact_text, redact_workload
from harden.model.outcome import Change, ChangeKind
from harden.model.recording import ExecutableSeen, Gap, GapKind
from harden.model.stack import Frame, StackObject
from harden.model.workload import Workload
from tests.model.test_stack import STACKS, with_stacks
from tests.recordings import file, run, small_run, socket

TOKEN = "ghp_" + "a1B2" * 9


def argv(*words: str) -> tuple[str, ...]:
    return redact_workload(Workload(program="/usr/bin/x", argv=words, cwd="/")).argv


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("--password=hunter2", f"--password={MASK}"),
        ("--db-password=hunter2", f"--db-password={MASK}"),
        ("API_KEY=abc", f"API_KEY={MASK}"),
        ("postgres://app:s3cr3t@db:5432/x?a=b", f"postgres://app:{MASK}@db:5432/x?a=b"),
        ("https://app:p@ss@host/", f"https://app:{MASK}@host/"),
        ("https://host/?token=abc&x=1", f"https://host/?token={MASK}&x=1"),
        ("Authorization: Bearer abcdefgh12345678", f"Authorization: Bearer {MASK}"),
        ('{"password": "hunter2"}', f'{{"password": "{MASK}"}}'),
        ("mysql -u root -phunter9SECRET app", f"mysql -u root -p{MASK} app"),
        ("true && /usr/bin/mysqldump -phunter9SECRET", f"true && /usr/bin/mysqldump -p{MASK}"),
        ("curl -u bob:curlSECRET http://x/", f"curl -u bob:{MASK} http://x/"),
        ("curl --user bob:x http://x/", f"curl --user bob:{MASK} http://x/"),
        ("curl --user=bob:x", f"curl --user=bob:{MASK}"),
        ("PGPASSWORD=pgSECRET psql", f"PGPASSWORD={MASK} psql"),
        ("MYSQL_PWD=x", f"MYSQL_PWD={MASK}"),
        ("env MYAPIKEY=x SIGNKEY=y", f"env MYAPIKEY={MASK} SIGNKEY={MASK}"),
        ("app --password hunter2 -v", f"app --password {MASK} -v"),
        ("AKIA" + "ABCD1234" * 2, MASK),
        (TOKEN, MASK),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", MASK),
    ],
)
def test_secrets_are_masked(text, masked):
    assert redact_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "-c",
        "daemon off;",
        "/etc/passwd",
        "http://127.0.0.1:8080/",
        "--compass=north",
        "user@host",
        "a=b",
        "--tokenize=yes",
        "mkdir -p dir; cp -pr a b",
        "mysql -u root --port=3306",
        "docker run -u 1000:1000 x",
        "setpriv --user www-data:www-data",
        "OLDPWD=/srv",
        "gobuster -u https://host:8080/",
        "--sort-key=name",
        "monkey=1",
        "--password --verbose",
    ],
)
def test_everything_else_stays(text):
    assert redact_text(text) == text


def test_a_secret_in_the_next_argument():
    assert argv("x", "--password", "hunter2", "-v") == ("x", "--password", MASK, "-v")
    assert argv("x", "--token", "--verbose") == ("x", "--token", "--verbose")


def test_short_options_only_where_they_are_secrets():
    assert argv("mysql", "-phunter2", "-p", "y") == ("mysql", f"-p{MASK}", "-p", MASK)
    assert argv("env", "mysql", "-phunter9SECRET") == ("env", "mysql", f"-p{MASK}")
    assert argv("sh", "-c", "mysql -phunter9SECRET") == ("sh", "-c", f"mysql -p{MASK}")
    assert argv("curl", "-u", "bob:curlSECRET") == ("curl", "-u", f"bob:{MASK}")
    assert argv("curl", "-ubob:curlSECRET") == ("curl", f"-ubob:{MASK}")
    assert argv("psql", "-u", "bob") == ("psql", "-u", "bob")
    assert argv("mkdir", "-p", "dir") == ("mkdir", "-p", "dir")
    assert argv("/usr/bin/redis-cli", "-a", "hunter2") == ("/usr/bin/redis-cli", "-a", MASK)


def test_environment_values_by_name_and_shape():
    workload = Workload(
        program="/usr/bin/x",
        argv=("x",),
        cwd="/",
        environment_values={
            "PGPASSWORD": "x",
            "DB_PASSWORD": "x",
            "URL": "http://a:b@c/",
            "LANG": "C.UTF-8",
            "PWD_DIR": "/srv",
        },
    )
    masked = redact_workload(workload)
    assert masked.environment_values == {
        "PGPASSWORD": MASK,
        "DB_PASSWORD": MASK,
        "URL": f"http://a:{MASK}@c/",
        "LANG": "C.UTF-8",
        "PWD_DIR": "/srv",
    }
    assert is_masked(masked)
    assert not is_masked(Workload(program="/usr/bin/x", argv=("x",), cwd="/"))


def test_a_command_line_for_a_person():
    shown = redact_command(["curl", "-u", "bob:x", "--token", "abc", "http://h/"])
    assert shown == f"curl -u bob:{MASK} --token {MASK} http://h/"


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


@pytest.mark.parametrize("token", [TOKEN, "AKIA" + "ABCD1234" * 2, JWT])
def test_tokens_are_masked_in_every_string(token):
    path = f"/srv/cache/{token}/x"
    seen = run(
        workload={"argv": ("app", path), "scenario": path, "environment_values": {"X": token}},
        executables=(ExecutableSeen(path=path, interpreter=path, libraries=(path,), argv0=path),),
        files=(file(path, "read"), file("/srv/plain", "read")),
        sockets=(socket("connect", "AF_UNIX", "SOCK_STREAM", address=path),),
        changes=(Change(path=path, kind=ChangeKind.CREATED),),
        gaps=(Gap(kind=GapKind.LOST_EVENTS, detail=path),),
    )
    masked = redact_run(seen)
    assert token not in str(masked)
    assert {each.path for each in masked.files} == {f"/srv/cache/{MASK}/x", "/srv/plain"}
    assert redact_run(masked) == masked


def test_words_of_paths_that_are_no_tokens_stay():
    for path in ("/srv/password=x/y", "/usr/share/sk-some-long-name-of-a-folder", "/a/token", "/srv/curl -u a:b"):
        seen = run(files=(file(path, "read"),))
        assert redact_run(seen) == seen


def test_patterns_do_not_reach_words_of_the_format():
    masked = redact_run(run(files=(file("/srv/read/x", "read"),)), patterns=["read", "object"])
    assert masked.files[0].path == f"/srv/{MASK}/x"


def test_no_secret_survives_in_a_run():
    seen = run(
        workload={"argv": ("app", f"--token={TOKEN}")},
        executables=(ExecutableSeen(path="/usr/bin/app", argv0=TOKEN),),
        files=(file("/srv/customer-42/x", "read"),),
    )
    masked = redact_run(seen, patterns=["customer-[0-9]+"])
    assert TOKEN not in str(masked)
    assert "customer-42" not in str(masked)
    assert redact_run(masked) == masked


def test_names_in_stacks_are_masked_too():
    stacks = msgspec.structs.replace(
        STACKS,
        objects=(StackObject(path=f"/opt/{TOKEN}/lib.so"), StackObject(path="/opt/acme/app")),
        frames=(Frame(object=0, symbol="acme_open", offset=1), Frame(object=1, offset=2)),
    )
    told = redact_run(with_stacks(small_run(), 0, stacks=stacks), ("acme",))
    assert told.stack(0) == (f"{MASK}_open+0x1 /opt/{MASK}/lib.so", f"/opt/{MASK}/app+0x2")
    assert sorted(call.stack for call in told.syscalls)[-1] == 0
