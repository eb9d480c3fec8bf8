"""Hundreds of malformed inputs: exit code 2, one line, no traceback, and nothing written."""

import importlib.util
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from macpf import yaml_files
from macpf.configuration import CONF
from macpf.runs import launch
from macpf.runs.command_line import typed, with_quoted_folder
from macpf.runs.errors import ConfigError

spec = importlib.util.spec_from_file_location("malformed", Path(__file__).with_name("malformed.py"))
assert spec is not None
assert spec.loader is not None
inputs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(inputs)

ALL = list(inputs.malformed())
#: What `make test` tries of them; `make test-faults` tries all.
SHORT = 60


def campaign(attempt, tmp_path, chosen):
    own = tmp_path / "own"
    inputs.write_files(own)
    wrong, kinds = [], Counter()
    for name, arguments in chosen:
        result, _, lines, left = attempt([text.replace("OWN", str(own)) for text in arguments])
        kinds[name.partition(" ")[0]] += 1
        good = result == 2 and len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) > 12 and not left
        if not good:
            wrong.append((name, result, lines[-2:], left))
    print(f"\n{sum(kinds.values())} malformed inputs ({dict(kinds)}): {len(wrong)} not refused as they should be")
    assert not wrong, "\n".join(map(str, wrong))


def test_malformed_inputs_are_refused_in_one_line_and_nothing_is_written(attempt, tmp_path):
    campaign(attempt, tmp_path, random.Random(1).sample(ALL, SHORT))


@pytest.mark.faults
def test_all_malformed_inputs_are_refused_in_one_line_and_nothing_is_written(attempt, tmp_path):
    assert len(ALL) >= 500
    campaign(attempt, tmp_path, ALL)


# --- properties, without composing anything ---------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=30)
PATHS = st.text(st.sampled_from("ab/.- '\"\\~$={}[](),:;é"), min_size=1, max_size=12)
OVERRIDES = st.text(st.sampled_from("seed=algo+~@.,[]{}()'\"$:\\ 012-/*"), min_size=1, max_size=14)
YAML = st.text(st.sampled_from("ab0:1.-[]{},&*!|>'\"#\n\t ~?%@=<é"), max_size=40)


def is_quoted_already(folder):
    return folder[0] == "$" or (len(folder) > 1 and folder[0] in "'\"" and folder[-1] == folder[0])


@settings(max_examples=400)
@given(st.one_of(TEXT, PATHS).filter(lambda folder: folder.strip() and not is_quoted_already(folder)))
def test_any_folder_reaches_hydra_as_it_was_typed(folder):
    (override,) = OverridesParser.create().parse_overrides([with_quoted_folder(f"outputs={folder}")])
    expected = os.path.expanduser(folder)
    value = override.value()
    assert str(value.text if isinstance(value, QuotedString) else value) == expected
    assert with_quoted_folder(override.input_line) == override.input_line


@settings(max_examples=400)
@given(st.lists(OVERRIDES, min_size=1, max_size=3))
def test_whatever_is_typed_is_taken_or_refused_in_one_line(arguments):
    refused = None
    try:
        typed(arguments)
    except (ConfigError, HydraException) as error:
        refused = launch.in_one_line(error)
    assert refused is None or (refused and "\n" not in refused)


@settings(max_examples=600)
@given(st.one_of(YAML.map(str.encode), st.binary(max_size=30)))
def test_any_file_is_read_or_refused_in_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("yaml") / "own.yaml"
    path.write_bytes(content)
    refused = None
    try:
        yaml_files.check(path)
    except yaml_files.BrokenFile as error:
        refused = str(error)
    if refused is None:
        OmegaConf.load(path)
    else:
        assert refused.startswith(str(path))
        assert "\n" not in refused


@pytest.mark.parametrize(("name", "line"), [
    ("tab", "line 2: found character '\\t' that cannot start any token"),
    ("twice", "line 2: name stands there twice; leave one out"),
    ("bracket", "line 2: expected ',' or ']'"),
    ("latin", "byte 6 is not UTF-8; save it as UTF-8"),
    ("list", "holds no settings; write lines of the form key: value"),
    ("norway", "line 1: YAML does not read no as a name; put quotes around the key"),
    ("octal", "line 2: YAML reads 0100 as 64; write that, or put quotes around it"),
    ("sixty", "line 2: YAML reads 1:30 as 90"),
    ("itself", "line 2: an anchor contains its own alias; write it out"),
    ("bomb", "aliases make more than 100,000 values of it; write it out"),
    ("deep", "is nested too deeply; write it flatter"),
    ("object", "python/object/apply:os.system is no kind of setting"),
])  # fmt: skip
def test_a_broken_file_is_named_with_its_line_and_what_to_do(tmp_path, name, line):
    path = tmp_path / "own.yaml"
    path.write_bytes(inputs.FILES[name])
    with pytest.raises(yaml_files.BrokenFile) as caught:
        yaml_files.check(path)
    assert line in str(caught.value)


def test_files_of_this_repository_are_not_broken():
    for path in CONF.rglob("*.yaml"):
        yaml_files.check(path)


def test_files_that_look_odd_but_say_one_thing_are_read(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_bytes("\ufeffa: &x {b: 1.0e-3}\nc: *x\nd:\n  <<: *x\n  e: 'on'\n".encode())
    assert yaml_files.load(path) == {"a": {"b": 1e-3}, "c": {"b": 1e-3}, "d": {"b": 1e-3, "e": "on"}}
