{{/* Name of the volume of a device: `/dev/ttyUSB0` becomes `device-dev-ttyusb0`. */}}
{{- define "ioc-instance.deviceVolume" -}}
{{- printf "device%s" (regexReplaceAll "[^a-z0-9]+" (lower .) "-") | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Volumes of the pod as a YAML list, empty when there are none. */}}
{{- define "ioc-instance.volumes" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- $name := .Release.Name -}}
{{- $volumes := list -}}
{{- if include "ioc-instance.config" . -}}
{{- $volumes = append $volumes (dict "name" "config" "configMap" (dict "name" (printf "%s-config" $name))) -}}
{{- end -}}
{{- if $values.autosave.enabled -}}
{{- $claim := default (printf "%s-autosave" $name) $values.autosaveClaim -}}
{{- $volumes = append $volumes (dict "name" "autosave" "persistentVolumeClaim" (dict "claimName" $claim)) -}}
{{- end -}}
{{- with $values.runtimeClaim -}}
{{- $volumes = append $volumes (dict "name" "runtime" "persistentVolumeClaim" (dict "claimName" .)) -}}
{{- end -}}
{{- with $values.opisClaim -}}
{{- $volumes = append $volumes (dict "name" "opis" "persistentVolumeClaim" (dict "claimName" .)) -}}
{{- end -}}
{{- if $values.dataVolume.pvc -}}
{{- $volumes = append $volumes (dict "name" "data" "persistentVolumeClaim" (dict "claimName" (printf "%s-data" $name))) -}}
{{- else if $values.dataVolume.hostPath -}}
{{- $volumes = append $volumes (dict "name" "data" "hostPath" (dict "path" $values.dataVolume.hostPath "type" "Directory")) -}}
{{- end -}}
{{- range $values.devices -}}
{{- $path := dict "path" .path "type" (default "CharDevice" .type) -}}
{{- $volumes = append $volumes (dict "name" (include "ioc-instance.deviceVolume" .path) "hostPath" $path) -}}
{{- end -}}
{{- with concat $volumes $values.volumes -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* Mounts of the IOC and its extra containers as a YAML list. */}}
{{- define "ioc-instance.volumeMounts" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- $name := .Release.Name -}}
{{- $mounts := list -}}
{{- if include "ioc-instance.config" . -}}
{{- $mounts = append $mounts (dict "name" "config" "mountPath" $values.iocConfig "readOnly" true) -}}
{{- end -}}
{{- if $values.autosave.enabled -}}
{{- $mount := dict "name" "autosave" "mountPath" $values.autosave.mountPath -}}
{{- if $values.autosaveClaim -}}
{{- $_ := set $mount "subPath" $name -}}
{{- end -}}
{{- $mounts = append $mounts $mount -}}
{{- end -}}
{{- if $values.runtimeClaim -}}
{{- $mounts = append $mounts (dict "name" "runtime" "mountPath" "/epics/runtime" "subPath" $name) -}}
{{- end -}}
{{- if $values.opisClaim -}}
{{- $mounts = append $mounts (dict "name" "opis" "mountPath" "/epics/opi" "subPath" $name) -}}
{{- end -}}
{{- if or $values.dataVolume.pvc $values.dataVolume.hostPath -}}
{{- $path := default "/data" $values.dataVolume.hostPath -}}
{{- $mounts = append $mounts (dict "name" "data" "mountPath" $path "mountPropagation" "HostToContainer") -}}
{{- end -}}
{{- range $values.devices -}}
{{- $path := default .path .containerPath -}}
{{- $mounts = append $mounts (dict "name" (include "ioc-instance.deviceVolume" .path) "mountPath" $path) -}}
{{- end -}}
{{- toYaml (concat $mounts $values.volumeMounts) -}}
{{- end -}}
