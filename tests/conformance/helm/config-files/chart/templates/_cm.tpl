{{- define "cm" -}}
{{- $_ := set .Values "cfg" (.Files.Glob "config/*").AsConfig -}}
{{- if .Values.cfg }}
kind: ConfigMap
data:
  {{- .Values.cfg | nindent 2 }}
{{- end }}
{{- end -}}
