"""NAME.local.toml is only ever added to: what a person wrote stays, and the file then means what was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden.errors import DocumentError
from harden.model.document import parse_toml
from harden.model.local_merge import join_rights
from harden.model.profile import LOCAL_FORMAT, Local, LocalRemoval, LocalRights
from harden.model.resource_limit import LimitName
from harden.render.local_toml import insert_rights, render_rights
from tests.recordings import path_bytes

HEAD = 'format = "harden-local/1"\n'
BOTH = LocalRights(syscalls=("getppid",), files={"/etc/app.conf": "read"})


def parse(text: str) -> Local:
    return parse_toml(text.encode(), Local, format=LOCAL_FORMAT, file="app.local.toml")


def insert(text: str, new: LocalRights | LocalRemoval, table: str = "refined") -> str:
    return insert_rights(text, table, new, file="app.local.toml")


def is_kept(old: str, new: str) -> bool:
    """Whether `old` is what is left of `new` when some characters are taken out."""
    rest = iter(new)
    return all(char in rest for char in old)


def test_a_rule_is_written_as_the_file_takes_it():
    rights = LocalRights(
        syscalls=("getppid",),
        arguments={"socket": (("AF_INET", "SOCK_STREAM", "0"),)},
        capabilities=("CAP_CHOWN",),
        files={"/etc/app.conf": "read"},
        network=("connect tcp 127.0.0.1:80",),
    )
    lines = render_rights("add", rights)
    assert lines == (
        'add.syscalls = ["getppid"]',
        'add.arguments.socket = [["AF_INET", "SOCK_STREAM", "0"]]',
        'add.capabilities = ["CAP_CHOWN"]',
        'add.files."/etc/app.conf" = "read"',
        'add.network = ["connect tcp 127.0.0.1:80"]',
    )
    assert parse(HEAD + "\n".join(lines)).add == rights


def test_a_missing_file_is_made():
    assert parse(insert("", BOTH)).refined == BOTH


def test_what_is_there_already_changes_nothing():
    text = insert(HEAD, BOTH)
    assert insert(text, BOTH) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(HEAD, id="empty"),
        pytest.param(HEAD.rstrip(), id="no-final-newline"),
        pytest.param(HEAD + '[add]\nsyscalls = ["kill"] # mine\n', id="another-table"),
        pytest.param(HEAD + "[refined]", id="header-at-the-end"),
        pytest.param(HEAD + "[refined] # kept\n# and this\nsyscalls = []\n", id="comments"),
        pytest.param(HEAD + '[refined]\nsyscalls = [\n  "kill", # why\n]\n', id="list-over-lines"),
        pytest.param(HEAD + '[refined]\n  [ refined . files ]\n"/etc/app.conf" = "stat" # seen\n', id="sub-table"),
        pytest.param(HEAD + '[refined.files]\n"/x" = "read"\n[add]\nsyscalls = ["kill"]\n', id="only-a-sub-table"),
        pytest.param(HEAD + 'refined.syscalls = ["kill"]\nrefined.files."/x" = "read"\n[controls]\n', id="dotted-keys"),
        pytest.param(
            HEAD + '[add]\nsyscalls = ["kill"]\n[refined]\nsyscalls = ["kill"]\n', id="same-key-in-two-tables"
        ),
        pytest.param(HEAD + "# [refined]\n# syscalls = []\n", id="commented-out"),
    ],
)
def test_nothing_that_was_written_is_lost(text: str):
    before, after = parse(text), insert(text, BOTH)
    assert is_kept(text, after)
    for line in text.splitlines():
        comment = line.partition("#")[2]
        assert comment in after
    assert parse(after).add == before.add
    assert parse(after).controls == before.controls
    assert join_rights(LocalRights(), parse(after).refined) == join_rights(before.refined, BOTH)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(HEAD + 'refined = { syscalls = ["kill"] }\n', id="inline-table"),
        pytest.param(HEAD + "[refined]\nfiles.'/etc/app.conf' = 'stat'\n", id="other-quotes"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_the_lines_to_add(text: str):
    with pytest.raises(DocumentError, match="cannot be edited") as caught:
        insert(text, LocalRights(files={"/etc/app.conf": "read"}, capabilities=("CAP_CHOWN",)))
    assert 'refined.files."/etc/app.conf" = "read"' in (caught.value.hint or "")


def test_a_broken_file_is_refused():
    with pytest.raises(DocumentError, match="not TOML"):
        insert(HEAD + "[refined\n", BOTH)


names = st.sampled_from(["getppid", "kill", "mount", "socket", "ptrace"])
rights = st.builds(
    LocalRights,
    syscalls=st.lists(names, max_size=3, unique=True).map(tuple),
    arguments=st.dictionaries(st.sampled_from(["prctl", "ioctl"]), st.just((("1",), ("2",))), max_size=2),
    capabilities=st.lists(st.sampled_from(["CAP_CHOWN", "CAP_KILL"]), max_size=2, unique=True).map(tuple),
    files=st.dictionaries(
        path_bytes.map(lambda path: "/srv" + path.decode("ascii", "replace").replace("�", "_")).filter(
            lambda text: "\\" not in text and "@" not in text and "\n" not in text and '"' not in text
        ),
        st.sampled_from(["read", "read write", "stat", "exec"]),
        max_size=3,
    ),
    network=st.lists(st.sampled_from(["bind tcp 0.0.0.0:80", "connect udp 127.0.0.1:*"]), max_size=2, unique=True).map(
        tuple
    ),
)


limits = st.lists(st.sampled_from(LimitName), max_size=3, unique=True).map(tuple)
removals = st.builds(
    lambda added, lifted: LocalRemoval(
        **{name: getattr(added, name) for name in added.__struct_fields__ if name != "limits"}, limits=lifted
    ),
    rights,
    limits,
)
steps = st.tuples(st.just("refined"), st.lists(rights, min_size=1, max_size=4)) | st.tuples(
    st.just("remove"), st.lists(removals, min_size=1, max_size=4)
)


@given(steps)
def test_any_rights_one_after_the_other(given_steps: tuple[str, list[LocalRights | LocalRemoval]]):
    table, steps = given_steps
    text, whole = HEAD + "# a person's words\n", type(steps[0])()
    for step in steps:
        after = insert(text, step, table)
        assert is_kept(text, after)
        text, whole = after, join_rights(whole, step)
    assert join_rights(type(whole)(), getattr(parse(text), table)) == whole


@pytest.mark.parametrize(
    "text",
    [
        HEAD + '[add.limits]\npids = 64 # mine\n[refined.limits]\nnofile = 64 # seen\nmemory = "64M"\npids = 64\n',
        HEAD + "[refined]\nlimits.pids=32 # or so\n",
        HEAD + "refined.limits.nofile = 256",
        HEAD + "[refined.limits]\n",
    ],
)
def test_refined_limits_are_raised_in_their_place(text: str):
    before = parse(text)
    raised = LocalRights(limits={LimitName.PIDS: 128, LimitName.MEMORY: "1G", LimitName.NOFILE: 128})
    after = parse(insert(text, raised))
    assert after.refined == join_rights(before.refined, raised)
    assert after.add == before.add
    for line in text.splitlines():
        assert line.partition("#")[2] in insert(text, raised)
    assert insert(insert(text, raised), raised) == insert(text, raised)


def test_what_a_person_limited_is_never_replaced():
    text = HEAD + "[add.limits]\npids = 64\n"
    with pytest.raises(DocumentError, match="cannot be edited"):
        insert(text, LocalRights(limits={LimitName.PIDS: 128}), table="add")
