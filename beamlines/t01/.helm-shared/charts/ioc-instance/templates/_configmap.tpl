{{- define "ioc-instance.configmap" -}}
{{- with include "ioc-instance.config" . }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $.Release.Name }}-config
  labels:
    {{- include "ioc-instance.labels" $ | nindent 4 }}
{{- . }}
{{- end }}
{{- end -}}
