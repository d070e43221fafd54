{{/* Claims that belong to this instance. What the IOC has saved outlives its release. */}}
{{- define "ioc-instance.claims" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- if and $values.autosave.enabled (not $values.autosaveClaim) }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .Release.Name }}-autosave
  labels:
    {{- include "ioc-instance.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes:
    {{- toYaml $values.autosave.accessModes | nindent 4 }}
  {{- with $values.autosave.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ $values.autosave.size }}
{{- end }}
{{- if $values.dataVolume.pvc }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .Release.Name }}-data
  labels:
    {{- include "ioc-instance.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  {{- if $values.dataVolume.spec }}
  {{- toYaml $values.dataVolume.spec | nindent 2 }}
  {{- else }}
  accessModes:
    - ReadWriteMany
  resources:
    requests:
      storage: {{ $values.dataVolume.size }}
  {{- end }}
{{- end }}
{{- end -}}
