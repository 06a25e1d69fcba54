"""Vendor-only options in a body: they win, and leave alone what they do not name."""

from __future__ import annotations

from genkit.backends.extra import merged


def test_objects_are_merged_at_every_depth() -> None:
    before = {"a": {"b": {"c": 1, "d": 2}}, "e": 3}
    assert merged(before, {"a": {"b": {"d": 4}}}) == {"a": {"b": {"c": 1, "d": 4}}, "e": 3}
    assert before == {"a": {"b": {"c": 1, "d": 2}}, "e": 3}


def test_tools_are_added_and_other_lists_are_replaced() -> None:
    before = {"tools": [1], "inside": {"tools": [1]}, "stop": [1]}
    extra = {"tools": [2], "inside": {"tools": [2]}, "stop": [2]}
    assert merged(before, extra) == {"tools": [1, 2], "inside": {"tools": [1, 2]}, "stop": [2]}


def test_a_schema_is_replaced_as_a_whole() -> None:
    assert merged({"outputSchema": {"type": "object", "a": 1}}, {"outputSchema": {"b": 2}}) == {
        "outputSchema": {"b": 2}
    }


def test_an_object_of_another_type_replaces_the_first() -> None:
    before = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    assert merged(before, {"thinking": {"type": "adaptive"}}) == {"thinking": {"type": "adaptive"}}
    assert merged(before, {"thinking": {"budget_tokens": 3000}}) == {
        "thinking": {"type": "enabled", "budget_tokens": 3000}
    }


def test_of_several_objects_that_exclude_each_other_the_last_is_sent() -> None:
    before = {"toolConfig": {"toolChoice": {"auto": {}}}}
    extra = {"toolConfig": {"toolChoice": {"any": {}}}}
    assert merged(before, extra, choices=frozenset({"toolChoice"})) == extra
