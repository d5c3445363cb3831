"""The guard in a process of its own: what a cell may do, what it may not, and that nothing was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.deploy.kernel.guarded import run_cells

READS = {
    "a client's read": "result = client('ecs').list_clusters()['clusterArns']",
    "a query service's read": "client('ec2').describe_instances(); client('elbv2').describe_load_balancers()",
    "a REST service's read": "client('lambda').list_functions(); client('s3').list_buckets()",
    "a REST read that is a POST": "client('batch').describe_compute_environments()",
    "CloudWatch": "client('cloudwatch').list_metrics()",
    "a paginator": "list(client('ecs').get_paginator('list_clusters').paginate())",
    "a waiter": "client('ecs').get_waiter('services_stable')",
    "a resource": "list(boto3.session.Session().resource('s3', **settings).buckets.all())",
    "who am I": "client('sts').get_caller_identity()",
    "a presigned read": "client('s3').generate_presigned_url('get_object', Params=dict(Bucket='b', Key='k'))",
    "another web server": "import urllib.request; urllib.request.ProxyHandler({})",
}

CREATE = "create_cluster(clusterName='evil')"
RAW_ECS = (
    "botocore.awsrequest.AWSRequest('POST', url, {"
    "'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.CreateCluster', "
    "'Content-Type': 'application/x-amz-json-1.1'}, b'{\"clusterName\": \"evil\"}')"
)

WRITES = {
    "a client": f"client('ecs').{CREATE}",
    "a client of the default session": f"boto3.client('ecs', **settings).{CREATE}",
    "a botocore client": f"botocore.session.get_session().create_client('ecs', **settings).{CREATE}",
    "a resource": "boto3.session.Session().resource('s3', **settings).create_bucket(Bucket='evil')",
    "the call under the methods": "client('ecs')._make_api_call('CreateCluster', {'clusterName': 'evil'})",
    "a thread": f"""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as pool:
    pool.submit(lambda: client('ecs').{CREATE}).result()
""",
    "an asyncio executor": f"import asyncio; asyncio.run(asyncio.to_thread(lambda: client('ecs').{CREATE}))",
    "a forked process": f"""
import multiprocessing
def write(pipe):
    try:
        client('ecs').{CREATE}
        pipe.send(None)
    except Exception as error:
        pipe.send(str(error))
here, there = multiprocessing.Pipe()
process = multiprocessing.get_context('fork').Process(target=write, args=(there,))
process.start()
refusal = here.recv()
process.join()
if refusal:
    from deploy.kernel.refusals import WriteRefused
    raise WriteRefused(refusal)
""",
    "a copied client": f"""
ecs = client('ecs')
twin = object.__new__(type(ecs))
vars(twin).update(vars(ecs))
twin.{CREATE}
""",
    "a transfer": "import io; client('s3').upload_fileobj(io.BytesIO(b'x'), 'bucket', 'evil')",
    "the endpoint": """
ecs = client('ecs')
operation = ecs.meta.service_model.operation_model('CreateCluster')
ecs._endpoint.make_request(operation, ecs._convert_to_request_dict({'clusterName': 'evil'}, operation, url))
""",
    "a handler that turns a read into a write": """
ecs = client('ecs')
def turn(params, **_):
    params['headers']['X-Amz-Target'] = 'AmazonEC2ContainerServiceV20141113.CreateCluster'
    params['body'] = b'{"clusterName": "evil"}'
ecs.meta.events.register('before-call.ecs.ListClusters', turn)
ecs.list_clusters()
""",
    "a handler that turns a query read into a write": """
ec2 = client('ec2')
def turn(params, **_):
    params['body'] = {'Action': 'CreateVpc', 'Version': '2016-11-15', 'CidrBlock': '10.9.0.0/16'}
ec2.meta.events.register('before-call.ec2.DescribeVpcs', turn)
ec2.describe_vpcs()
""",
    "a request changed after it was signed": """
ecs = client('ecs')
def turn(request, **_):
    request.headers.replace_header('X-Amz-Target', 'AmazonEC2ContainerServiceV20141113.CreateCluster')
    request.data = b'{"clusterName": "evil"}'
ecs.meta.events.register_last('request-created.ecs.ListClusters', turn)
ecs.list_clusters()
""",
    "unregistered handlers": f"""
ecs = client('ecs')
ecs.meta.events.unregister('request-created.ecs', ecs._request_signer.handler)
ecs.{CREATE}
""",
    "a model of one's own": """
import copy, json
loader = botocore.session.get_session().get_component('data_loader')
model = copy.deepcopy(loader.load_service_model('lambda', 'service-2'))
model['operations']['ListEvil'] = dict(model['operations']['CreateFunction'], name='ListEvil')
own = botocore.session.Session()
load = loader.load_service_model
own.get_component('data_loader').load_service_model = lambda service, kind, *a, **k: (
    model if kind == 'service-2' else load(service, kind, *a, **k))
own.create_client('lambda', **settings)._make_api_call('ListEvil', dict(
    FunctionName='evil', Role='arn:aws:iam::123456789012:role/evil', Code={'ZipFile': b'x'}))
""",
    "a signer of one's own": f"""
from botocore.credentials import Credentials
botocore.auth.SigV4Auth(Credentials('a', 'b'), 'ecs', 'eu-west-2').add_auth({RAW_ECS})
""",
    "botocore's own transport": f"botocore.httpsession.URLLib3Session().send({RAW_ECS}.prepare())",
    "a presigned write": "client('s3').generate_presigned_url('put_object', Params=dict(Bucket='b', Key='evil'))",
    "a presigned query write": "client('ec2').generate_presigned_url('create_vpc', {'CidrBlock': '10.9.0.0/16'})",
    "a presigned post": "client('s3').generate_presigned_post('bucket', 'evil')",
    "a presigner that lies about its operation": """
s3 = client('s3')
operation = s3.meta.service_model.operation_model('PutObject')
request = s3._convert_to_request_dict({'Bucket': 'b', 'Key': 'evil'}, operation, url)
s3._request_signer.generate_presigned_url(request, 'GetObject')
""",
    "urllib3": """
import urllib3
urllib3.PoolManager().request('POST', url, body=b'{"clusterName": "evil"}', headers={
    'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.CreateCluster',
    'Content-Type': 'application/x-amz-json-1.1'})
""",
    "http.client": """
connection = http.client.HTTPConnection(urlsplit(url).netloc)
connection.request('POST', '/', b'Action=CreateVpc&Version=2016-11-15&CidrBlock=10.9.0.0/16',
                   {'Content-Type': 'application/x-www-form-urlencoded'})
""",
    "a pooled connection of a client": """
ecs = client('ecs')
ecs.list_clusters()
pool = ecs._endpoint.http_session._manager.connection_from_url(url)
pool.urlopen('POST', '/', body=b'{"clusterName": "evil"}', headers={
    'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.CreateCluster',
    'Content-Type': 'application/x-amz-json-1.1'})
""",
    "a socket to an endpoint that was used": """
client('ecs').list_clusters()
socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
""",
    "a socket to AWS": "socket.create_connection(('ecs.eu-west-2.amazonaws.com', 443))",
    "an instance's credentials": "socket.create_connection(('169.254.169.254', 80), timeout=1)",
    "a session token": "client('sts').get_session_token()",
    "a secret": "client('secretsmanager').get_secret_value(SecretId='x')",
    "a decrypted parameter": "client('ssm').get_parameter(Name='x', WithDecryption=True)",
    "the guard's own classification": f"""
import deploy.kernel.operations as o
o.is_read = lambda *_: True
client('ecs').{CREATE}
""",
    "the guard's own verb pattern": f"""
import re, deploy.kernel.operations as o
o._READ_VERB, o.FURTHER_READS = re.compile('.*'), frozenset({{('ecs', 'CreateCluster')}})
client('ecs').{CREATE}
""",
    "the guard's own reading of requests": f"""
import deploy.kernel.wire as w, deploy.kernel.guard as g
w.is_read_everywhere = w.agrees = g.agrees = lambda *_: True
botocore.httpsession.URLLib3Session().send({RAW_ECS}.prepare())
""",
    "the function behind the transport's entry point": f"""
for cell in botocore.httpsession.URLLib3Session.send.__closure__:
    if getattr(cell.cell_contents, '__name__', '') == 'send':
        cell.cell_contents = lambda *_: None
botocore.httpsession.URLLib3Session().send({RAW_ECS.replace("CreateCluster", "ListClusters")}.prepare())
""",
    "a trace function that changes the request": """
ecs = client('ecs')
def trace(frame, event, argument):
    if frame.f_code.co_name == 'send':
        frame.f_locals['request'].body = b'{"clusterName": "evil"}'
    return trace
sys.settrace(trace)
try:
    ecs.list_clusters()
finally:
    sys.settrace(None)
""",
    "a profile function": """
ecs = client('ecs')
sys.setprofile(lambda *_: None)
try:
    ecs.list_clusters()
finally:
    sys.setprofile(None)
""",
    "connections of one's own in the pool": """
ecs = client('ecs')
class Connection(botocore.awsrequest.AWSHTTPConnection):
    def request(self, method, url, body=None, headers=None, **more):
        kept = {n: v for n, v in headers.items() if n.lower() not in {'x-amz-target', 'content-length'}}
        kept['X-Amz-Target'] = 'AmazonEC2ContainerServiceV20141113.CreateCluster'
        return super().request(method, url, b'{"clusterName": "evil"}', kept)
class Pool(botocore.awsrequest.AWSHTTPConnectionPool):
    ConnectionCls = Connection
ecs._endpoint.http_session._manager.pool_classes_by_scheme = {'http': Pool, 'https': Pool}
ecs.list_clusters()
""",
    "a socket opened while a read is sent": """
import urllib3.util.connection
connect = urllib3.util.connection.create_connection
def other(address, *rest, **more):
    socket.create_connection(address)
    return connect(address, *rest, **more)
urllib3.util.connection.create_connection = other
client('ecs').list_clusters()
""",
    "a resolver of one's own": """
resolve = socket.getaddrinfo
def other(*given, **more):
    socket.getaddrinfo = resolve
    socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
    return resolve(*given, **more)
ecs = client('ecs')
socket.getaddrinfo = other
ecs.list_clusters()
""",
    "a transport that is a subclass": f"""
class Session(botocore.httpsession.URLLib3Session):
    def send(self, request):
        return super().send({RAW_ECS}.prepare())
ecs = client('ecs')
ecs._endpoint.http_session = Session()
ecs.list_clusters()
""",
    "a header that equals everything": """
class Target(str):
    __eq__, __hash__ = (lambda self, other: True), str.__hash__
ecs = client('ecs')
def turn(params, **_):
    params['headers']['X-Amz-Target'] = Target('AmazonEC2ContainerServiceV20141113.CreateCluster')
    params['body'] = b'{"clusterName": "evil"}'
ecs.meta.events.register('before-call.ecs.ListClusters', turn)
ecs.list_clusters()
""",
    "a name that equals everything": """
class Name(str):
    __eq__, __hash__ = (lambda self, other: True), (lambda self: hash('ListClusters'))
client('ecs')._make_api_call(Name('CreateCluster'), {'clusterName': 'evil'})
""",
    "a class of one's own for a client": """
ecs = client('ecs')
class Mine(type(ecs)):
    def _make_api_call(self, operation, parameters):
        for cell in botocore.client.BaseClient._make_api_call.__closure__:
            if getattr(cell.cell_contents, '__name__', '') == '_make_api_call':
                return cell.cell_contents(self, operation, parameters)
ecs.__class__ = Mine
ecs.create_cluster(clusterName='evil')
""",
    "a thread that was started before": f"""
import queue
work, done = queue.Queue(), queue.Queue()
def wait():
    try:
        done.put(work.get()())
    except Exception as error:
        done.put(error)
threading.Thread(target=wait, daemon=True).start()
work.put(lambda: client('ecs').{CREATE})
raise done.get()
""",
    "a pickle": """
import pickle, functools
pickle.loads(pickle.dumps(functools.partial(eval)))("client('ecs').create_cluster()", globals())
""",
    "asyncio streams": """
client('ecs').list_clusters()
import asyncio
asyncio.run(asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port))
""",
    "the socket module in C": """
client('ecs').list_clusters()
import _socket
_socket.socket().connect((urlsplit(url).hostname, urlsplit(url).port))
""",
    "another spelling of the address": """
client('ecs').list_clusters()
socket.socket().connect(('127.1', urlsplit(url).port))
""",
    "any address of this machine": """
client('ecs').list_clusters()
socket.socket().connect(('0.0.0.0', urlsplit(url).port))
""",
    "requests": """
import requests
requests.post(url, data=b'{"clusterName": "evil"}', headers={
    'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.CreateCluster'})
""",
    "a presigned URL fetched by urllib": """
import urllib.request
urllib.request.urlopen(client('s3').generate_presigned_url('get_object', Params=dict(Bucket='b', Key='k')))
""",
    "a decryption by a handler": """
ssm = client('ssm')
def turn(params, **_):
    params['body'] = b'{"Name": "x", "WithDecryption": true}'
ssm.meta.events.register('before-call.ssm.GetParameter', turn)
ssm.get_parameter(Name='x')
""",
    "a decryption in a dictionary that hides it": """
class Hiding(dict):
    def get(self, name, default=None):
        return default
client('ssm')._make_api_call('GetParameter', Hiding(Name='x', WithDecryption=True))
""",
    "an audit event of one's own": """
client('ecs').list_clusters()
read = botocore.awsrequest.AWSRequest('POST', url, {
    'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.ListClusters',
    'Content-Type': 'application/x-amz-json-1.1'}, b'{}')
sys.audit('ecs_deploy.guard.send', [], read.prepare())
socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
""",
    "an audit event of one's own and another request": """
client('ecs').list_clusters()
read = botocore.awsrequest.AWSRequest('POST', url, {
    'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.ListClusters',
    'Content-Type': 'application/x-amz-json-1.1'}, b'{}')
answer = []
sys.audit('ecs_deploy.guard.send', answer, read.prepare())
connection = http.client.HTTPConnection(urlsplit(url).netloc)
connection.request('POST', '/', b'{"clusterName": "evil"}', {
    'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.CreateCluster'})
""",
    "another audit hook": f"sys.addaudithook(lambda *_: None); client('ecs').{CREATE}",
    "a stopped clock": f"import time; time.time = lambda: 0.0; client('ecs').{CREATE}",
    "an authorisation that a cell made itself": """
from deploy.authorise import Authorisation, step_running
with step_running(Authorisation('0' * 64, 'run', '001', 'service/web', frozenset({'web'}))):
    client('ecs').update_service(cluster='c', service='web', desiredCount=0)
""",
}

TAMPERING = {
    "a method of the client class": "botocore.client.BaseClient._make_api_call = lambda *_: None",
    "the transport": "botocore.httpsession.URLLib3Session.send = lambda *_: None",
    "a signer": "botocore.auth.SigV4Auth.add_auth = lambda *_: None",
    "a mock": "from unittest import mock; mock.patch('botocore.client.BaseClient._make_api_call').start()",
    "a class": "botocore.client.BaseClient = type('BaseClient', (), {})",
    "a module": "del sys.modules['botocore.client']",
    "a fresh module": "import types; sys.modules['botocore.httpsession'] = types.ModuleType('fresh')",
    "a deleted method": "del botocore.httpsession.URLLib3Session.send",
    "the standard library's transport": "http.client.HTTPConnection.send = lambda *_: None",
    "the original behind an entry point": """
closure = botocore.client.BaseClient._make_api_call.__closure__
for cell in closure:
    cell.cell_contents = lambda *_: None
""",
    "the audit function": "sys.audit = lambda *_: None",
}

REACHING_IN = {
    "everybody's frames": "sys._current_frames()",
    "a copy of an entry point": """
import types
send = botocore.httpsession.URLLib3Session.send
types.FunctionType(send.__code__, {}, 'send', None, send.__closure__)
""",
    "a reload": "importlib.reload(botocore.client)",
    "a second copy": """
for name in [n for n in sys.modules if n.startswith('botocore')]:
    del sys.modules[name]
import botocore.client
""",
    "a reload of the guard": "import deploy.kernel.guard; importlib.reload(deploy.kernel.guard)",
    "other code in an entry point": """
botocore.client.BaseClient._make_api_call.__code__ = (lambda self, name, params: None).__code__
""",
    "who refers to the guard": "gc.get_referrers(botocore.client.BaseClient._make_api_call)",
    "everything that is alive": "gc.get_objects()",
}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    # moto's state is the process's: a test of another file may have left its own network behind
    with urlopen(Request(f"{endpoint}/moto-api/reset", method="POST")) as answer:
        assert answer.status == 200
    yield endpoint
    server.stop()


@pytest.fixture(scope="module")
def ended(moto: str) -> dict[str, dict[str, Any]]:
    then = "\nclient('ecs').list_clusters()"
    cells = {f"read: {name}": source for name, source in READS.items()}
    cells |= {f"write: {name}": source for name, source in WRITES.items()}
    cells |= {f"tamper: {name}": source + then for name, source in TAMPERING.items()}
    cells |= {f"reach: {name}": source for name, source in REACHING_IN.items()}
    return run_cells(moto, cells)


@pytest.mark.parametrize("name", READS)
def test_a_read_passes(ended: dict[str, dict[str, Any]], name: str) -> None:
    assert ended[f"read: {name}"]["error"] is None, ended[f"read: {name}"]["message"]


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_refused_with_one_sentence(ended: dict[str, dict[str, Any]], name: str) -> None:
    answer = ended[f"write: {name}"]

    assert "Nothing was written." in answer["message"], answer
    assert "\n" not in answer["message"]


@pytest.mark.parametrize("name", TAMPERING)
def test_after_tampering_nothing_reaches_aws(ended: dict[str, dict[str, Any]], name: str) -> None:
    answer = ended[f"tamper: {name}"]

    assert answer["error"] in {"GuardTampered", "AttributeError"} or answer["calls"] == [], answer


@pytest.mark.parametrize("name", REACHING_IN)
def test_reaching_into_the_guard_is_refused(ended: dict[str, dict[str, Any]], name: str) -> None:
    answer = ended[f"reach: {name}"]

    assert answer["error"] == "GuardTampered", answer
    assert "Nothing was written." in answer["message"]


def test_nothing_was_written(ended: dict[str, dict[str, Any]], moto: str) -> None:
    settings: dict[str, Any] = {
        "endpoint_url": moto,
        "region_name": "eu-west-2",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }
    vpcs = boto3.client("ec2", **settings).describe_vpcs()["Vpcs"]

    assert boto3.client("ecs", **settings).list_clusters()["clusterArns"] == []
    assert boto3.client("s3", **settings).list_buckets()["Buckets"] == []
    assert boto3.client("lambda", **settings).list_functions()["Functions"] == []
    assert [vpc["CidrBlock"] for vpc in vpcs] == ["172.31.0.0/16"]  # the default VPC of every account


def test_a_refused_call_is_told_to_the_journal(ended: dict[str, dict[str, Any]]) -> None:
    assert ["ecs", "CreateCluster", "refused"] in ended["write: a client"]["calls"]
    assert ["ecs", "ListClusters", "read"] in ended["read: a client's read"]["calls"]


def test_no_other_interpreter_starts_in_this_process(moto: str) -> None:
    """An audit hook is not inherited by another interpreter."""
    names = ("_xxsubinterpreters", "_interpreters")
    ended = run_cells(moto, {name: f"import {name}" for name in names})

    assert {answer["error"] for answer in ended.values()} == {"ImportError"}
    assert all("interpreters without a" in answer["message"] for answer in ended.values())


@pytest.mark.slow
def test_every_operation_of_every_service_is_judged_by_the_guard_itself(moto: str) -> None:
    """The models are walked through the guard's own entry: it lets through exactly the known reads."""
    walk = """
import json, os
from deploy.kernel.operations import SECRET_WHEN, is_read
class Client:
    class meta:
        region_name = 'eu-west-2'
    class _service_model:
        service_name = ''
loader = botocore.session.get_session().get_component('data_loader')
wrong, judged = [], 0
for service in loader.list_available_services('service-2'):
    Client._service_model.service_name = service
    for operation in loader.load_service_model(service, 'service-2')['operations']:
        answer, passed = [], True
        try:
            sys.audit('ecs_deploy.guard.call', answer, Client, operation, {})
        except Exception:
            passed = False
        judged += 1
        if passed != is_read(service, operation) or bool(answer) != passed:
            wrong.append((service, operation))
result = json.dumps([judged, wrong])
"""
    answer = run_cells(moto, {"walk": walk})["walk"]
    judged, wrong = json.loads(answer["message"])

    assert judged > 15_000
    assert wrong == []
