"""GetMetricData's answer in the AWS JSON protocol, written from numpy arrays.

Which protocol boto3 speaks depends on what is installed beside it; both get an answer that costs an array
copy a series rather than a Python object a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from deploy.sandbox.cloudwatch import Result

CONTENT_TYPE = "application/x-amz-json-1.0"


def metric_data_json(results: Sequence[Result], token: str | None) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of a GetMetricData answer; timestamps are epoch seconds, as AWS sends them."""
    import orjson

    answer = {
        "MetricDataResults": [
            {
                "Id": r.query_id,
                "Label": r.label,
                "StatusCode": "Complete" if r.complete else "PartialData",
                "Timestamps": np.ascontiguousarray(r.timestamps),
                "Values": np.ascontiguousarray(r.values),
            }
            for r in results
        ],
        "Messages": [],
        **({} if token is None else {"NextToken": token}),
    }
    body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return 200, {"Content-Type": CONTENT_TYPE}, body
