"""Profiles as a hostile program would have them: every name, path, argument and value is what breaks grammars."""

from __future__ import annotations

from hypothesis import strategies as st

from harden.model.arch import Arch
from harden.model.network_rule import NetworkOperation, NetworkRule
from harden.model.origin import Origin
from harden.model.path_pattern import PathPattern
from harden.model.path_text import to_text
from harden.model.profile import PROFILE_FORMAT, Generated, Profile, Rights
from harden.model.recording import Completeness, FileOperation
from harden.model.workload import StoredBind, Workload

BREAKERS = (
    *(b'"', b"'", b"\\", b"\n", b"\r", b"\t", b" ", b"#", b";", b"%h", b"%%", b"$HOME", b"${x}", b"$(id)", b"`id`"),
    *(b"{a,b}", b"[a-z]", b"*", b"**", b"?", b"@{pid}", b"^", b"(", b")", b"(allow x y)", b"#include <x>", b"!", b"&"),
    *(b"|", b">", b"<", b"~", b"=", b":", b",", b"readonly", b"--", b"-", b"- a", b"? b", b"%YAML", b"\xff", b"\xc3"),
    *(
        b"\xc3\xa9",
        b"\xe2\x80\xa8",
        b"\xf0\x9f\x98\x80",
        b"\x7f",
        b"\x1b[2J",
        b"\x01",
        b"}",
        b"{",
        b"{% x %}",
        b"{{ x }}",
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xc2\x85",
        b"ExecStart=x",
        b"\nExecStart=x",
        b"\n  /** rwx,\n",
        b'"\n/** rw,',
        b"---",
        b"\n---\n",
    ),
    *(b"\r\n", b"null", b"true", b"0x1", b"\xed\xa0\x80", b"a" * 250),
)
"""Pieces that mean something in one of the grammars, NUL-free."""


def _is_printable(piece: bytes) -> bool:
    try:
        return piece.decode().isprintable()
    except UnicodeDecodeError:
        return False


_any_words = st.lists(st.sampled_from(BREAKERS) | st.binary(min_size=1, max_size=6), min_size=1, max_size=4)
_printable_words = st.lists(
    st.sampled_from([piece for piece in BREAKERS if _is_printable(piece)]), min_size=1, max_size=4
)
words = (_printable_words | _any_words).map(lambda pieces: b"".join(pieces).replace(b"\0", b"") or b"x")
components = words.map(lambda word: word.replace(b"/", b"")[:255]).filter(lambda name: name not in (b"", b".", b".."))
folders = st.sampled_from([b"/srv/app", b"/etc/app", b"/var/lib/app/data", b"/home/u/app", b"/opt/app", b"/run/app"])
paths = st.builds(
    lambda folder, names: b"/".join([folder, *names]), folders, st.lists(components, min_size=1, max_size=3)
)
long_paths = components.map(lambda name: b"/srv/app/" + b"/".join([name * (200 // len(name) + 1)] * 15))
operations = st.sets(st.sampled_from([*FileOperation]), min_size=1, max_size=4).map(
    lambda found: " ".join(operation for operation in FileOperation if operation in found)
)
patterns = st.builds(
    lambda path, tail: PathPattern.literal(path).text + tail, paths, st.sampled_from(["", "/*", "/**", "-@{pid}"])
)
abstract = words.map(
    lambda name: NetworkRule(
        operation=NetworkOperation.CONNECT, family="AF_UNIX", type="SOCK_STREAM", address=f"@{to_text(name)}"
    ).render()
)


def _as_text(word: bytes) -> bytes:
    return word.decode("utf-8", "replace").encode()


def _as_bytes(word: bytes) -> bytes:
    return word


@st.composite
def hostile_profiles(draw: st.DrawFn) -> Profile:
    """Any profile with such texts in every place that holds a text of the program's."""
    files = draw(
        st.dictionaries(patterns | long_paths.map(lambda path: PathPattern.literal(path).text), operations, max_size=5)
    )
    # Formats that hold UTF-8 only would else hardly ever hold the command.
    kept = draw(st.sampled_from([_as_text, _as_text, _as_bytes]))
    program, folder = kept(draw(paths)), kept(draw(paths))
    binds = draw(
        st.lists(
            st.builds(lambda source, target, writable: (source, target, writable), paths, paths, st.booleans()),
            max_size=2,
        )
    )
    values = draw(st.dictionaries(words.map(lambda word: word.replace(b"=", b"") or b"x"), words, max_size=3))
    return Profile(
        format=PROFILE_FORMAT,
        name=draw(words).decode("utf-8", "replace"),
        generated=Generated(harden="0", runs=("a",), completeness=Completeness.COMPLETE),
        workload=Workload(
            program=to_text(program),
            argv=tuple(to_text(kept(word)) for word in draw(st.lists(words, min_size=1, max_size=3))),
            cwd=to_text(folder),
            environment_values={to_text(kept(name)): to_text(kept(value)) for name, value in values.items()},
            binds=tuple(
                StoredBind(source=to_text(source), target=to_text(target), writable=writable)
                for source, target, writable in binds
            ),
        ),
        rights=Rights(
            architectures=(Arch.X86_64,),
            syscalls={Origin.OBSERVED: ("connect", "openat", "read", "socket", "write")},
            arguments={"socket": {Origin.OBSERVED: (("AF_UNIX", "SOCK_STREAM", "0"),)}},
            capabilities={Origin.OBSERVED: draw(st.sampled_from([(), ("CAP_CHOWN",), ("CAP_BPF", "CAP_SYSLOG")]))},
            files={Origin.OBSERVED: files},
            network={Origin.OBSERVED: tuple(sorted(draw(st.sets(abstract, max_size=2))))},
        ),
    )


def written(profile: Profile) -> set[bytes]:
    """The literal paths on which the profile grants a right that changes something."""
    from harden.render.ability import CHANGES

    return {pattern.path for pattern, granted in profile.rights.all_files() if pattern.is_literal and granted & CHANGES}
