//! What the local backend does with each field of a pod.

use super::Decision::{self, Honoured, NoEffect, Noted, Partly, Refused};

/// Fields of a pod's `spec`; a row decides all that is below it.
pub const POD: &[(&str, Decision)] = &[
    ("containers[].name", Honoured),
    (
        "containers[].image",
        Partly("must be on this machine already"),
    ),
    (
        "containers[].imagePullPolicy",
        NoEffect("a deploy never pulls images"),
    ),
    ("containers[].command", Honoured),
    ("containers[].args", Honoured),
    ("containers[].workingDir", Honoured),
    ("containers[].env[].name", Honoured),
    ("containers[].env[].value", Partly("`$(NAME)` included")),
    (
        "containers[].env[].valueFrom.fieldRef",
        Partly(
            "`metadata.name`, `.namespace`, `.labels['x']`, `.annotations['x']`, `spec.nodeName`, `spec.serviceAccountName`; others are refused",
        ),
    ),
    (
        "containers[].env[].valueFrom.configMapKeyRef",
        Partly("of ConfigMaps of the same release"),
    ),
    (
        "containers[].env[].valueFrom.secretKeyRef",
        Partly("of Secrets of the same release"),
    ),
    (
        "containers[].env[].valueFrom.resourceFieldRef",
        Refused(
            "limits are not passed as variables here",
            "write the value itself",
        ),
    ),
    (
        "containers[].env[].valueFrom.fileKeyRef",
        Refused(
            "variables are not read from files here",
            "write the value itself",
        ),
    ),
    (
        "containers[].envFrom",
        Partly("ConfigMaps and Secrets of the same release"),
    ),
    (
        "containers[].ports",
        Partly(
            "on the node's own network; compared with those of other instances and with what listens already",
        ),
    ),
    (
        "containers[].resources.limits",
        Partly("`cpu` and `memory`; others are refused"),
    ),
    (
        "containers[].resources.requests",
        Partly("`cpu` as share, `memory` as reservation; others have no effect"),
    ),
    (
        "containers[].resources.claims",
        Refused(
            "there is no device allocation here",
            "mount the device as a hostPath below /dev",
        ),
    ),
    ("containers[].volumeMounts[].name", Honoured),
    ("containers[].volumeMounts[].mountPath", Honoured),
    (
        "containers[].volumeMounts[].subPath",
        Partly("a missing folder is made with the user and group of the container"),
    ),
    ("containers[].volumeMounts[].subPathExpr", Honoured),
    ("containers[].volumeMounts[].readOnly", Honoured),
    ("containers[].volumeMounts[].mountPropagation", Honoured),
    (
        "containers[].volumeMounts[].recursiveReadOnly",
        Noted("file systems mounted below are not made read-only"),
    ),
    (
        "containers[].volumeDevices",
        Refused(
            "there are no block volumes here",
            "mount the device as a hostPath below /dev",
        ),
    ),
    (
        "containers[].livenessProbe",
        Partly(
            "`exec` becomes the engine's health check, which is shown; nothing restarts the container",
        ),
    ),
    (
        "containers[].readinessProbe",
        Partly("`exec` becomes the engine's health check when there is no liveness probe"),
    ),
    (
        "containers[].startupProbe",
        Partly("its time until failure is added to the start period of the health check"),
    ),
    (
        "containers[].lifecycle.preStop",
        Partly("`exec` and `sleep`; run by `ioc` itself, not when the engine stops the container"),
    ),
    (
        "containers[].lifecycle.postStart",
        Refused(
            "the engine starts containers again without it",
            "do it in the start script of the image",
        ),
    ),
    ("containers[].lifecycle.stopSignal", Honoured),
    ("containers[].securityContext.runAsUser", Honoured),
    ("containers[].securityContext.runAsGroup", Honoured),
    ("containers[].securityContext.runAsNonRoot", Honoured),
    ("containers[].securityContext.privileged", Honoured),
    (
        "containers[].securityContext.readOnlyRootFilesystem",
        Honoured,
    ),
    (
        "containers[].securityContext.allowPrivilegeEscalation",
        Honoured,
    ),
    ("containers[].securityContext.capabilities", Honoured),
    (
        "containers[].securityContext.seccompProfile",
        Partly("`RuntimeDefault` and `Unconfined`; `Localhost` is refused"),
    ),
    (
        "containers[].securityContext.appArmorProfile",
        Noted("the engine's own profile is used"),
    ),
    (
        "containers[].securityContext.seLinuxOptions",
        Noted("the engine's own label is used"),
    ),
    (
        "containers[].securityContext.procMount",
        Noted("the engine's own masks of /proc are used"),
    ),
    (
        "containers[].securityContext.windowsOptions",
        Refused("this is not Windows", "remove it"),
    ),
    ("containers[].stdin", Honoured),
    ("containers[].stdinOnce", Honoured),
    ("containers[].tty", Honoured),
    (
        "containers[].terminationMessagePath",
        NoEffect("the last lines of the log are shown instead"),
    ),
    (
        "containers[].terminationMessagePolicy",
        NoEffect("the last lines of the log are shown instead"),
    ),
    (
        "containers[].resizePolicy",
        NoEffect("a change of limits replaces the container"),
    ),
    (
        "containers[].restartPolicy",
        Refused(
            "containers of a pod share one restart policy here",
            "set the restartPolicy of the pod",
        ),
    ),
    (
        "containers[].restartPolicyRules",
        Refused(
            "containers of a pod share one restart policy here",
            "set the restartPolicy of the pod",
        ),
    ),
    (
        "initContainers",
        Refused(
            "there is nothing here that runs containers one after another",
            "do its work in the start script of the image, or make it an extra container",
        ),
    ),
    (
        "ephemeralContainers",
        Refused(
            "they belong to a running pod, not to a chart",
            "remove them; `ioc exec` runs a command in a container",
        ),
    ),
    ("volumes[].name", Honoured),
    (
        "volumes[].configMap",
        Partly(
            "of the same release; changes reach the files of a running container within the deploy",
        ),
    ),
    (
        "volumes[].secret",
        Partly("of the same release; on disk, readable by the owner of the state folder"),
    ),
    (
        "volumes[].persistentVolumeClaim",
        Partly("a folder of this machine per namespace and claim"),
    ),
    (
        "volumes[].hostPath",
        Partly("a device below /dev is passed as a device"),
    ),
    (
        "volumes[].emptyDir",
        Partly(
            "a folder that is emptied with each new pod; `medium: Memory` is a tmpfs per container",
        ),
    ),
    (
        "volumes[].nfs",
        Refused(
            "volumes are not mounted over the network here",
            "mount it on this machine and use a hostPath",
        ),
    ),
    (
        "volumes[].projected",
        Refused(
            "projected volumes are not made here",
            "use one volume for each source",
        ),
    ),
    (
        "volumes[].downwardAPI",
        Refused(
            "volumes from fields of the pod are not made here",
            "use a variable with a fieldRef",
        ),
    ),
    (
        "volumes[].csi",
        Refused(
            "there are no storage drivers here",
            "use a persistentVolumeClaim or a hostPath",
        ),
    ),
    (
        "volumes[].ephemeral",
        Refused(
            "there are no storage drivers here",
            "use an emptyDir or a persistentVolumeClaim",
        ),
    ),
    (
        "volumes[].image",
        Refused(
            "image volumes are not made here",
            "copy the files into the image of the container",
        ),
    ),
    (
        "hostNetwork",
        Partly("always on; without it the plan says that the pod uses the node's network"),
    ),
    ("hostPID", Honoured),
    ("hostIPC", Honoured),
    (
        "hostUsers",
        Noted("user namespaces are a setting of the engine"),
    ),
    ("hostAliases", Honoured),
    (
        "hostname",
        Noted("on the host network it is the name of the node"),
    ),
    (
        "hostnameOverride",
        Noted("on the host network it is the name of the node"),
    ),
    ("subdomain", NoEffect("there is no cluster DNS here")),
    (
        "setHostnameAsFQDN",
        NoEffect("on the host network the name is that of the node"),
    ),
    (
        "dnsPolicy",
        NoEffect("on the host network the name servers are those of the node"),
    ),
    (
        "dnsConfig",
        Noted("on the host network the name servers are those of the node"),
    ),
    ("nodeName", Partly("must be this machine")),
    (
        "nodeSelector",
        Partly(
            "`kubernetes.io/hostname` must be this machine; the plan names other labels, which are not checked",
        ),
    ),
    (
        "affinity",
        Partly(
            "required node affinity for `kubernetes.io/hostname` must allow this machine; the plan names other terms, which are not checked",
        ),
    ),
    ("tolerations", NoEffect("nothing is tainted here")),
    ("topologySpreadConstraints", NoEffect("there is one node")),
    ("schedulerName", NoEffect("there is one node")),
    (
        "schedulingGates",
        Refused("nothing here would open the gate", "remove it"),
    ),
    ("priorityClassName", NoEffect("nothing is evicted here")),
    ("priority", NoEffect("nothing is evicted here")),
    ("preemptionPolicy", NoEffect("nothing is evicted here")),
    (
        "runtimeClassName",
        Noted("the engine's default runtime is used"),
    ),
    ("overhead", NoEffect("there is no scheduler here")),
    ("os", NoEffect("containers are Linux here")),
    (
        "serviceAccountName",
        Noted("there is no Kubernetes API to use it with"),
    ),
    (
        "serviceAccount",
        Noted("there is no Kubernetes API to use it with"),
    ),
    (
        "automountServiceAccountToken",
        NoEffect("there is no Kubernetes API here"),
    ),
    ("enableServiceLinks", NoEffect("there are no Services here")),
    ("imagePullSecrets", NoEffect("a deploy never pulls images")),
    (
        "restartPolicy",
        Partly(
            "`Always` is the engine's `unless-stopped`, so that a reboot brings the container up again",
        ),
    ),
    ("terminationGracePeriodSeconds", Honoured),
    (
        "activeDeadlineSeconds",
        Refused("nothing here would stop it", "remove it"),
    ),
    (
        "shareProcessNamespace",
        Refused(
            "containers of a pod have their own process numbers here",
            "use hostPID",
        ),
    ),
    ("readinessGates", NoEffect("there are no Services here")),
    (
        "resourceClaims",
        Refused(
            "there is no device allocation here",
            "mount the device as a hostPath below /dev, for USB /dev/bus/usb",
        ),
    ),
    (
        "resources",
        Refused(
            "limits are per container here",
            "set them on the containers",
        ),
    ),
    ("securityContext.runAsUser", Honoured),
    ("securityContext.runAsGroup", Honoured),
    ("securityContext.runAsNonRoot", Honoured),
    ("securityContext.supplementalGroups", Honoured),
    (
        "securityContext.supplementalGroupsPolicy",
        NoEffect("groups of the image are merged, as the default does"),
    ),
    (
        "securityContext.fsGroup",
        Partly("owns claims and their subPath folders; files inside are left as they are"),
    ),
    (
        "securityContext.fsGroupChangePolicy",
        NoEffect("files inside volumes are left as they are"),
    ),
    (
        "securityContext.seccompProfile",
        Partly("`RuntimeDefault` and `Unconfined`; `Localhost` is refused"),
    ),
    (
        "securityContext.appArmorProfile",
        Noted("the engine's own profile is used"),
    ),
    (
        "securityContext.seLinuxOptions",
        Noted("the engine's own label is used"),
    ),
    (
        "securityContext.sysctls",
        Refused(
            "on the host network they would change this machine",
            "set them on this machine",
        ),
    ),
    (
        "securityContext.windowsOptions",
        Refused("this is not Windows", "remove it"),
    ),
];
