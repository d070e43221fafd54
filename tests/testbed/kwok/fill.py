"""Creates simulated IOC instances on the cluster of the test bed; started by kwok.sh.

usage: fill.py API-SERVER PKI-FOLDER LIBRARY-CHART NAMESPACE COUNT

For each instance a StatefulSet, as the library chart makes it, and the Secret that Helm keeps of its release.
Four connections at once; an object that exists already is left as it is.
"""

import base64
import concurrent.futures
import gzip
import http.client
import json
import pathlib
import random
import ssl
import sys
import threading
import urllib.parse

server, pki, library, namespace, count = sys.argv[1:]
url = urllib.parse.urlsplit(server)
tls = ssl.create_default_context(cafile=f"{pki}/ca.crt")
tls.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
connections = threading.local()


def create(path, body):
    if not hasattr(connections, "api"):
        connections.api = http.client.HTTPSConnection(url.hostname, url.port, context=tls, timeout=60)
    connections.api.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connections.api.getresponse()
    text = answer.read()
    if answer.status not in (201, 409):
        sys.exit(f"fill.py: {path}: {answer.status} {text.decode(errors='replace')}")


def stateful_set(name):
    labels = {"app": name, "ioc": "true", "app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "Helm"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "annotations": {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace},
        },
        "spec": {
            "replicas": 1,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostNetwork": True,
                    "terminationGracePeriodSeconds": 1,
                    "nodeName": "kwok",
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [
                        {
                            "name": name,
                            "image": "localhost/simulated:2026.11.1",
                            "command": ["bash", "-c"],
                            "args": ["/epics/ioc/start.sh"],
                            "stdin": True,
                            "tty": True,
                            "env": [{"name": "IOC_NAME", "value": name}, {"name": "IOC_PREFIX", "value": name.upper()}],
                            "resources": {
                                "limits": {"cpu": "500m", "memory": "256Mi"},
                                "requests": {"cpu": "1m", "memory": "1Mi"},
                            },
                        }
                    ],
                },
            },
        },
    }


templates = [
    {"name": path.relative_to(library).as_posix(), "data": base64.b64encode(path.read_bytes()).decode()}
    for path in sorted(pathlib.Path(library, "templates").rglob("*"))
    if path.is_file()
]


def release(name, manifest):
    """The Secret of revision 1; the chart in it is most of its 15 kB."""
    moment = "2026-11-01T09:30:00.000000Z"
    noise = random.Random(name).randbytes(1300)
    record = {
        "name": name,
        "namespace": namespace,
        "version": 1,
        "manifest": "---\n" + json.dumps(manifest) + "\n",
        "config": {"ioc-instance": {"image": "localhost/simulated:2026.11.1"}},
        "info": {
            "first_deployed": moment,
            "last_deployed": moment,
            "deleted": "",
            "description": "Install complete",
            "status": "deployed",
        },
        "chart": {
            "metadata": {"name": name, "version": "2026.11.1", "apiVersion": "v2", "appVersion": "2026.11.1"},
            "lock": None,
            "templates": templates,
            "values": {},
            "schema": None,
            "files": [{"name": "config/site.dat", "data": base64.b64encode(noise).decode()}],
        },
    }
    packed = base64.b64encode(gzip.compress(json.dumps(record).encode()))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": f"sh.helm.release.v1.{name}.v1",
            "namespace": namespace,
            "labels": {"owner": "helm", "name": name, "version": "1", "status": "deployed", "modifiedAt": "1793525400"},
        },
        "data": {"release": base64.b64encode(packed).decode()},
    }


def instance(number):
    name = f"kwok-ea-ioc-{number:04}"
    workload = stateful_set(name)
    create(f"/apis/apps/v1/namespaces/{namespace}/statefulsets", workload)
    create(f"/api/v1/namespaces/{namespace}/secrets", release(name, workload))


with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for _ in pool.map(instance, range(1, int(count) + 1)):
        pass
