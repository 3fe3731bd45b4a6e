"""The page about the checks is current, and its example is a policy."""

from __future__ import annotations

import re
import tomllib

import jsonschema

from harden.check.case import link_of
from harden.check.policy_chain import PolicyChain, PolicyFile
from harden.check.registry import CHECKS
from harden.input_file import parse_placed
from harden.model.document import schema
from harden.model.policy import POLICY_FORMAT, Policy
from harden.policy_source import PRESETS, load_policy
from tests import write_check_docs

PAGE = write_check_docs.FILE.read_text()


def test_page_is_current():
    assert write_check_docs.text() == PAGE, f"{write_check_docs.FILE} is stale: run {write_check_docs.COMMAND}"


def test_every_check_has_its_section():
    for check in CHECKS.values():
        assert link_of(check.id).endswith(f"README.md#{check.id}")
        assert f"\n### {check.id}\n" in PAGE


def test_example_is_a_policy():
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    policy, source = parse_placed(example.encode(), Policy, format=POLICY_FORMAT, file="example.toml")
    PolicyChain("example", (PolicyFile(policy=policy, source=source),))
    given = {name for name in policy.demand.__struct_fields__ if getattr(policy.demand, name)}
    assert given >= set(policy.demand.__struct_fields__) - {"forbidden_capabilities", "allowed_arguments", "verified"}


def test_presets_follow_the_schema_and_extend_each_other():
    for name in PRESETS:
        (last, *_) = reversed(load_policy(name).files)
        jsonschema.validate(tomllib.loads(last.source.text), schema(Policy))
    assert [len(load_policy(name).files) for name in PRESETS] == [1, 2, 3]
