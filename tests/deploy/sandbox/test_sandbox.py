"""The sandbox starts on loopback, holds one world a process, and forgets it when it ends."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from deploy.sandbox import Sandbox


def test_a_sandbox_listens_on_loopback_and_answers_boto3() -> None:
    with Sandbox() as sandbox:
        assert sandbox.endpoint_url.startswith("http://127.0.0.1:")
        assert sandbox.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_a_second_sandbox_in_the_process_is_refused_while_one_runs() -> None:
    with Sandbox(), pytest.raises(RuntimeError, match="already runs"), Sandbox():
        pass


def test_a_new_sandbox_remembers_nothing_of_the_one_before() -> None:
    for _ in range(2):
        with Sandbox() as sandbox:
            ecs, sqs = sandbox.client("ecs"), sandbox.client("sqs")
            assert ecs.list_clusters()["clusterArns"] == []
            assert "QueueUrls" not in sqs.list_queues()
            ecs.create_cluster(clusterName="public-services")
            sqs.create_queue(QueueName="jobs")


def test_the_clock_moves_only_when_it_is_stepped() -> None:
    with Sandbox() as sandbox:
        before = sandbox.now
        assert sandbox.now == before
        assert (sandbox.advance(90) - before).total_seconds() == 90


def test_answers_carry_the_time_of_the_sandbox_s_own_clock() -> None:
    """By its Date header a client knows AWS's present, so a pull needs no --as-of."""
    with Sandbox() as sandbox:
        sandbox.advance(3600)
        headers = sandbox.client("ecs").list_clusters()["ResponseMetadata"]["HTTPHeaders"]

        assert parsedate_to_datetime(headers["date"]) == sandbox.now.replace(microsecond=0)


def test_two_runs_with_one_seed_give_the_same_identifiers() -> None:
    def run(seed: int) -> list[str]:
        with Sandbox(seed=seed) as sandbox:
            ecs = sandbox.client("ecs")
            ecs.create_cluster(clusterName="c")
            vpc = sandbox.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            key = sandbox.client("kms").create_key()["KeyMetadata"]["KeyId"]
            return [vpc, key]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_what_is_not_imitated_is_refused_by_name() -> None:
    with Sandbox() as sandbox:
        ecs, pricing = sandbox.client("ecs"), sandbox.client("pricing")
        with pytest.raises(ecs.exceptions.ClientError, match="does not imitate ecs CreateTaskSet"):
            ecs.create_task_set(cluster="c", service="s", taskDefinition="t")
        with pytest.raises(pricing.exceptions.ClientError, match="does not imitate pricing GetProducts"):
            pricing.get_products(ServiceCode="AmazonEC2")
