{{- define "ioc-instance" -}}
{{ include "ioc-configmap" . }}
---
{{ include "ioc-statefulset" . }}
---
{{ include "ioc-service" . }}
{{- end -}}
