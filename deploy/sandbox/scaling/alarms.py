"""The two alarms of a target-tracking policy, kept in CloudWatch with the thresholds AWS gives them.

Public records of ECS target tracking show the high alarm over the target for 3 of 3 minutes and the low
alarm under 0.9 times the target for 15 of 15 minutes (e.g. 70 and 63, 30 and 27). AWS documents neither
number, so both are parameters here. On 20-second metrics three data points are a minute, which fits AWS's own
figures (86 s from load to scale-out); scale-in is taken to wait as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from deploy.monitoring import fast_metric
from deploy.sandbox.scaling.state import Document, ScalingError, Target
from planner.model import FAST_S

if TYPE_CHECKING:
    from deploy.sandbox.scaling.engine import Scaling

LOW_SHARE: Final = 0.9
HIGH_POINTS: Final = 3
LOW_MINUTES: Final = 15
MINUTE_S: Final = 60
ECS_METRICS: Final = {
    "ECSServiceAverageCPUUtilization": "CPUUtilization",
    "ECSServiceAverageMemoryUtilization": "MemoryUtilization",
    "ECSServiceAverageCPUUtilizationHighResolution": "CPUUtilization",
    "ECSServiceAverageMemoryUtilizationHighResolution": "MemoryUtilization",
}


def period_of(configuration: Document) -> int:
    """Seconds between two data points of the policy's alarms."""
    predefined = configuration.get("PredefinedMetricSpecification") or {}
    return MINUTE_S if fast_metric(str(predefined.get("PredefinedMetricType"))) is None else FAST_S


def low_points(period_s: int) -> int:
    """Data points that the low alarm looks at."""
    return LOW_MINUTES * MINUTE_S // period_s


def metric_of(target: Target, configuration: Document) -> Document:
    """The metric a target-tracking policy watches: {"Namespace", "MetricName", "Dimensions", "Statistic"},
    or {"Metrics": [...]} for metric math."""
    customised = configuration.get("CustomizedMetricSpecification")
    if customised:
        if customised.get("Metrics"):
            return {"Metrics": customised["Metrics"]}
        return {
            "Namespace": customised["Namespace"],
            "MetricName": customised["MetricName"],
            "Dimensions": customised.get("Dimensions") or [],
            "Statistic": customised.get("Statistic") or "Average",
        }
    predefined = configuration.get("PredefinedMetricSpecification") or {}
    kind = predefined.get("PredefinedMetricType")
    if kind in ECS_METRICS:
        return {
            "Namespace": "AWS/ECS",
            "MetricName": ECS_METRICS[kind],
            "Dimensions": [
                {"Name": "ClusterName", "Value": target.cluster},
                {"Name": "ServiceName", "Value": target.service},
            ],
            "Statistic": "Average",
        }
    if kind == "ALBRequestCountPerTarget":
        return _requests(predefined.get("ResourceLabel") or "")
    raise ScalingError("ValidationException", f"{kind} is not a metric of an ECS service.")


def _requests(label: str) -> Document:
    """ResourceLabel: app/<name>/<id>/targetgroup/<name>/<id>."""
    parts = label.split("/")
    if len(parts) != 6 or parts[0] != "app" or parts[3] != "targetgroup":
        raise ScalingError(
            "ValidationException",
            "ALBRequestCountPerTarget needs a ResourceLabel of the form app/name/id/targetgroup/name/id.",
        )
    return {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "RequestCountPerTarget",
        "Dimensions": [
            {"Name": "TargetGroup", "Value": "/".join(parts[3:])},
            {"Name": "LoadBalancer", "Value": "/".join(parts[:3])},
        ],
        "Statistic": "Sum",
    }


def create(scaling: Scaling, target: Target, policy_arn: str, configuration: Document) -> list[Document]:
    """Put the high and, unless scale-in is disabled, the low alarm; returns their names and ARNs."""
    value = float(configuration["TargetValue"])
    metric, period = metric_of(target, configuration), period_of(configuration)
    wanted = [("High", "GreaterThanThreshold", value, HIGH_POINTS)]
    if not configuration.get("DisableScaleIn"):
        wanted.append(("Low", "LessThanThreshold", value * LOW_SHARE, low_points(period)))
    made = []
    for side, comparison, threshold, points in wanted:
        name = f"TargetTracking-{target.resource_id}-Alarm{side}-{scaling.uuid()}"
        backend(scaling).put_metric_alarm(
            name=name,
            comparison_operator=comparison,
            evaluation_periods=points,
            datapoints_to_alarm=points,
            period=period,
            threshold=round(threshold, 10),
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}.",
            alarm_actions=[policy_arn],
            ok_actions=[],
            insufficient_data_actions=[],
            actions_enabled=True,
            **_as_moto(metric),
        )
        made.append({"AlarmName": name, "AlarmARN": _arn(scaling, name)})
    return made


def delete(scaling: Scaling, alarms: Sequence[Document]) -> None:
    known = backend(scaling).alarms
    for alarm in alarms:
        known.pop(alarm["AlarmName"], None)


def backend(scaling: Scaling) -> Any:
    """moto's CloudWatch of the Region, which keeps the alarms."""
    from moto.backends import get_backend

    return get_backend("cloudwatch")[scaling.account_id][scaling.region]


def _arn(scaling: Scaling, name: str) -> str:
    return f"arn:aws:cloudwatch:{scaling.region}:{scaling.account_id}:alarm:{name}"


def _as_moto(metric: Document) -> Document:
    from moto.cloudwatch.models import Dimension, Metric, MetricDataQuery, MetricStat

    def dimensions(given: list[Document]) -> list[Any]:
        return [Dimension(name=d["Name"], value=d["Value"]) for d in given]

    if "Metrics" not in metric:
        return {
            "namespace": metric["Namespace"],
            "metric_name": metric["MetricName"],
            "dimensions": metric["Dimensions"],
            "statistic": metric["Statistic"],
            "metric_data_queries": None,
        }
    queries = []
    for query in metric["Metrics"]:
        stat = query.get("MetricStat")
        queries.append(
            MetricDataQuery(
                query_id=query["Id"],
                label=query.get("Label"),
                period=cast(Any, 60),
                return_data=query.get("ReturnData", True),
                expression=query.get("Expression"),
                metric_stat=MetricStat(
                    metric=Metric(
                        metric_name=stat["Metric"]["MetricName"],
                        namespace=stat["Metric"]["Namespace"],
                        dimensions=dimensions(stat["Metric"].get("Dimensions") or []),
                    ),
                    period=cast(Any, 60),
                    stat=stat["Stat"],
                    unit=stat.get("Unit"),
                )
                if stat
                else None,
            )
        )
    return {
        "namespace": None,
        "metric_name": None,
        "dimensions": [],
        "statistic": None,
        "metric_data_queries": queries,
    }
