{{- define "ioc-configmap" -}}
{{- $_ := set .Values "configFolderConfigMap" (.Files.Glob "config/*").AsConfig -}}
{{- if ne .Values.configFolderConfigMap "{}" }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
  annotations:
    argocd.argoproj.io/sync-options: Replace=true
data:
  {{- .Values.configFolderConfigMap | nindent 2 }}
{{- end }}
{{- end -}}
