{{/*
The one template that an instance includes: all resources of an IOC. It takes the root context of the
instance's chart, so that `config/` is the folder of the instance.
*/}}
{{- define "ioc-instance" -}}
{{- include "ioc-instance.checks" . -}}
{{- include "ioc-instance.configmap" . }}
{{- include "ioc-instance.claims" . }}
---
{{ include "ioc-instance.statefulset" . }}
{{- end -}}

{{/* What no default can stand in for. */}}
{{- define "ioc-instance.checks" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- $_ := required "`image` is missing: set `ioc-instance.image` to the generic IOC image" $values.image -}}
{{- $_ := required "`location` is missing: set `ioc-instance.location` or `global.location`" (include "ioc-instance.location" .) -}}
{{- $_ := required "`domain` is missing: set `ioc-instance.domain` or `global.domain`" (include "ioc-instance.domain" .) -}}
{{- if gt (len .Release.Name) 52 -}}
{{- fail (printf "the instance name `%s` has %d characters; a StatefulSet can have at most 52" .Release.Name (len .Release.Name)) -}}
{{- end -}}
{{- end -}}
