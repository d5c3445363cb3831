"""Our decoder gives what botocore gives for the same bytes, in both wire forms, and refuses damaged ones."""

from __future__ import annotations

import json
import random
import struct
from decimal import Decimal
from typing import Any

import botocore.parsers
import botocore.session
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.aws import cbor, json_numbers
from planner.aws.decode import Answer, can_decode, decode, from_mapping
from tests.planner.aws.cloudwatch_server import to_cbor

JSON = "application/x-amz-json-1.0"
CBOR = "application/cbor"
OPERATION = botocore.session.get_session().get_service_model("cloudwatch").operation_model("GetMetricData")


def by_botocore(body: bytes, kind: str) -> Answer:
    parser = botocore.parsers.create_parser("json" if kind == JSON else "smithy-rpc-v2-cbor")
    headers = {"content-type": kind, "smithy-protocol": "rpc-v2-cbor"}
    parsed = parser.parse({"status_code": 200, "headers": headers, "body": body}, OPERATION.output_shape)
    return from_mapping(parsed)


def same(ours: Answer, theirs: Answer) -> None:
    assert [r.id for r in ours.results] == [r.id for r in theirs.results]
    assert (ours.next_token, ours.messages) == (theirs.next_token, theirs.messages)
    for one, other in zip(ours.results, theirs.results, strict=True):
        assert (one.status, one.messages) == (other.status, other.messages)
        np.testing.assert_array_equal(one.timestamps_s, other.timestamps_s)
        np.testing.assert_array_equal(one.values.view(np.int64), other.values.view(np.int64))


results = st.builds(
    lambda number, label, status, values, start, text: {
        "Id": f"q{number}",
        "Label": label,
        "StatusCode": status,
        "Timestamps": [start + 60 * place for place in range(len(values))],
        "Values": values,
        "Messages": [{"Code": "Note", "Value": text}] if text else [],
    },
    st.integers(0, 999),
    st.text(max_size=20),
    st.sampled_from(["Complete", "PartialData", "InternalError", "Forbidden"]),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40),
    st.integers(0, 4_000_000_000),
    st.text(max_size=20),
)
answers = st.builds(
    lambda found, token: {"MetricDataResults": found, "Messages": []} | ({"NextToken": token} if token else {}),
    st.lists(results, max_size=5),
    st.text(max_size=20),
)


@given(answers)
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("kind", [JSON, CBOR])
def test_both_forms_decode_as_botocore_decodes_them(kind: str, answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode() if kind == JSON else to_cbor(answer)

    same(decode(body, kind), by_botocore(body, kind))


def long_answer(label: str = "CPU") -> dict[str, Any]:
    """An answer long enough for the compiled loop, with short, long, whole, tiny and huge values."""
    rng = random.Random(5)
    values = [rng.random() * 100 for _ in range(3000)]
    values += [0.0, 1.0, -0.0, 12.25, 5e-324, 1.7976931348623157e308, 1e22, 1e23, 2**53 + 1, 123456789012345680.0]
    values += [float(f"{rng.random() * 100:.3f}") for _ in range(3000)]
    times = [1_780_000_020 + 60 * n for n in range(len(values))]
    result = {"Id": "q0", "Label": label, "StatusCode": "Complete", "Timestamps": times, "Values": values}
    return {
        "MetricDataResults": [result, {**result, "Id": "q1", "Timestamps": [], "Values": []}],
        "NextToken": "t",
    }


@pytest.mark.parametrize("space", [",:", ", : "])
def test_long_json_takes_the_compiled_way_and_gives_the_same(space: str) -> None:
    separators = (", ", ": ") if space == ", : " else (",", ":")
    body = json.dumps(long_answer(), separators=separators).encode()
    assert len(body) > json_numbers.WORTH_IT_BYTES

    same(decode(body, JSON), by_botocore(body, JSON))


def test_a_label_that_looks_like_an_array_is_no_array() -> None:
    body = json.dumps(long_answer('"Values":[1,2],"Timestamps": [3')).encode()

    same(decode(body, JSON), by_botocore(body, JSON))


def test_cbor_of_mixed_number_forms_takes_the_compiled_way_and_gives_the_same() -> None:
    forms = [
        b"\xfb" + struct.pack(">d", 0.1),
        b"\xfa" + struct.pack(">f", 1.5),
        b"\xf9" + struct.pack(">e", -2.25),
        b"\xf9\x00\x01",
        b"\x07",
        b"\x18\xc8",
        b"\x19\x01\x00",
        b"\x1a\x00\x0f\x42\x40",
        b"\x20",
        b"\x38\x63",
    ]
    expected = [0.1, 1.5, -2.25, 2.0**-24, 7.0, 200.0, 256.0, 1_000_000.0, -1.0, -100.0]

    got = cbor.loads(b"\x8a" + b"".join(forms))

    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("kind", [JSON, CBOR])
def test_an_answer_cut_off_anywhere_is_refused(kind: str) -> None:
    answer = long_answer()
    body = json.dumps(answer).encode() if kind == JSON else to_cbor(answer)

    for length in (0, 1, 50, 1000, len(body) // 2, len(body) - 1):
        with pytest.raises(ValueError, match=r"."):
            decode(body[:length], kind)


def test_timestamps_and_values_of_different_number_are_refused() -> None:
    body = json.dumps({"MetricDataResults": [{"Id": "q0", "Timestamps": [1, 2], "Values": [1.0]}]}).encode()

    with pytest.raises(ValueError, match="2 timestamps and 1 values"):
        decode(body, JSON)


def test_an_unknown_form_is_left_to_botocore() -> None:
    assert can_decode("application/cbor")
    assert can_decode("application/x-amz-json-1.0; charset=utf-8")
    assert not can_decode("text/xml")
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode(b"<GetMetricDataResponse/>", "text/xml")


def read(texts: list[str]) -> list[float]:
    body = f"[{','.join(texts)}]".encode()
    return json_numbers._numbers(body, np.frombuffer(body, dtype=np.uint8), 1, len(body) - 1).tolist()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
@settings(max_examples=100, deadline=None)
def test_every_double_reads_back_as_itself(values: list[float]) -> None:
    assert read([repr(value) for value in values]) == values


def test_numbers_between_two_doubles_round_as_python_rounds_them() -> None:
    rng = random.Random(3)
    # the middle of two neighbouring doubles of 54 bits, and texts just beside it
    middles = [
        str(Decimal(2 * rng.randrange(2**52, 2**53) + 1) / Decimal(2 ** rng.randrange(1, 9))) for _ in range(2000)
    ]
    texts = [text[:18] for text in middles] + middles + [f"{text}1" for text in middles if "." in text]

    assert read(texts) == [float(text) for text in texts]
