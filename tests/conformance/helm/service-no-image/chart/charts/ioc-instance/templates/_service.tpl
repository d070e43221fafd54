{{- define "ioc-service" -}}
{{- if not (get .Values "ioc-instance").hostNetwork }}
kind: Service
spec:
  clusterIP: {{ include "ip" (dict "name" (printf "%s.%s" .Release.Name .Release.Namespace) "baseIp" (get .Values "ioc-instance").baseIp) }}
{{- else }}
# no service: host network
{{- end }}
{{- end -}}
