"""Each place where the sandbox relies on moto's inside, held so that an upgrade of moto shows."""

from __future__ import annotations

import hashlib
from importlib.metadata import version

import moto.autoscaling.models
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from moto.moto_api._internal import mock_random

from deploy.sandbox import Sandbox
from deploy.sandbox.autoscaling import SandboxGroup
from deploy.sandbox.ecs.instances import registered_resources, type_facts
from deploy.sandbox.ecs.load_balancing import TargetsByPort
from deploy.sandbox.patches import patch_groups, seed_moto
from tests.deploy.sandbox.conftest import Estate


def test_moto_is_the_version_the_patches_were_written_for() -> None:
    assert version("moto") == "5.2.5"


def test_moto_makes_the_sandbox_s_groups() -> None:
    patch_groups()

    assert moto.autoscaling.models.FakeAutoScalingGroup is SandboxGroup


def test_the_seed_sets_every_identifier() -> None:
    seed_moto("a")
    first = mock_random.get_random_hex(12)
    seed_moto("a")

    assert mock_random.get_random_hex(12) == first


def test_moto_s_instance_types_have_what_registration_needs() -> None:
    resources, architecture = registered_resources("m7g.large")

    assert (resources.cpu_units, resources.enis, architecture) == (2048, 2, "arm64")
    assert registered_resources("g4dn.xlarge")[0].gpus == 1
    assert type_facts("no.such") == {}


def test_two_tasks_on_one_instance_are_two_targets() -> None:
    targets = TargetsByPort({"i-1:80": {"Id": "i-1", "Port": 80}, "i-1:81": {"Id": "i-1", "Port": 81}})

    assert len(targets) == 2
    assert targets.get("i-1") == {"Id": "i-1", "Port": 80}
    assert targets.get("i-2") is None


def test_running_tasks_are_healthy_targets_with_their_own_ports(fleet: Estate) -> None:
    elb, ec2 = fleet.sandbox.client("elbv2"), fleet.sandbox.client("ec2")
    vpc = fleet.group["VPCZoneIdentifier"].split(",")[0]
    subnets = fleet.group["VPCZoneIdentifier"].split(",")
    vpc = ec2.describe_subnets(SubnetIds=subnets)["Subnets"][0]["VpcId"]
    balancer = elb.create_load_balancer(Name="lb", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(Name="tg", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0][
        "TargetGroupArn"
    ]
    elb.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )  # fmt: skip
    fleet.create(count=8, loadBalancers=[{"targetGroupArn": group, "containerName": "app", "containerPort": 8080}])
    fleet.sandbox.advance(120)

    health = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]

    assert len(health) == 8
    assert {h["TargetHealth"]["State"] for h in health} == {"healthy"}
    fleet.update(desiredCount=2)
    fleet.sandbox.advance(60)
    assert len(elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]) == 2


def test_the_services_of_moto_that_rehearsals_use_still_answer() -> None:
    with Sandbox() as sandbox:
        key = sandbox.client("kms").create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"][
            "KeyId"
        ]
        kms = sandbox.client("kms")
        signed = kms.sign(KeyId=key, Message=b"plan", MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")
        verified = kms.verify(
            KeyId=key, Message=b"plan", MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256",
            Signature=signed["Signature"],
        )  # fmt: skip
        assert verified["SignatureValid"] is True
        with pytest.raises(kms.exceptions.KMSInvalidSignatureException):
            kms.verify(
                KeyId=key, Message=b"another", MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256",
                Signature=signed["Signature"],
            )  # fmt: skip
        table = sandbox.client("dynamodb")
        table.create_table(
            TableName="t", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        )  # fmt: skip
        assert table.list_tables()["TableNames"] == ["t"]


def test_kms_signs_a_digest_as_it_is() -> None:
    with Sandbox() as sandbox:
        kms = sandbox.client("kms")
        key = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["KeyId"]
        digest = hashlib.sha256(b"plan").digest()
        signing = {"KeyId": key, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
        signature = kms.sign(**signing, Message=digest)["Signature"]

        public = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(signature, b"plan", ec.ECDSA(hashes.SHA256()))  # raises for a wrong one
        assert kms.verify(**signing, Message=digest, Signature=signature)["SignatureValid"] is True
        other = hashlib.sha256(b"another").digest()
        with pytest.raises(kms.exceptions.KMSInvalidSignatureException):
            kms.verify(**signing, Message=other, Signature=signature)
