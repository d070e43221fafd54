{{/* Affinity of the pod, nothing when it is placed by name or may run anywhere. */}}
{{- define "ioc-instance.affinity" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- if $values.nodeName -}}
{{- else if $values.affinity -}}
{{- toYaml $values.affinity -}}
{{- else if $values.useAffinity -}}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      - matchExpressions:
          - key: beamline
            operator: In
            values:
              - {{ include "ioc-instance.beamline" . | quote }}
{{- end -}}
{{- end -}}

{{/* A change of `config/` changes configHash and so restarts the IOC. */}}
{{- define "ioc-instance.podLabels" -}}
{{- $labels := fromYaml (include "ioc-instance.labels" .) -}}
{{- $_ := set $labels "configHash" (include "ioc-instance.config" . | sha1sum) -}}
{{- $values := index .Values "ioc-instance" -}}
{{- toYaml (merge $labels $values.podLabels) -}}
{{- end -}}

{{/* One pod that is never there twice, whatever happens to its node: a StatefulSet of one. */}}
{{- define "ioc-instance.statefulset" -}}
{{- $values := index .Values "ioc-instance" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .Release.Name }}
  labels:
    {{- include "ioc-instance.labels" . | nindent 4 }}
    enabled: {{ ternary "true" "false" (eq (include "ioc-instance.enabled" .) "true") | quote }}
spec:
  replicas: {{ ternary 1 0 (eq (include "ioc-instance.enabled" .) "true") }}
  serviceName: {{ .Release.Name }}
  podManagementPolicy: Parallel
  selector:
    matchLabels:
      app: {{ .Release.Name }}
  template:
    metadata:
      labels:
        {{- include "ioc-instance.podLabels" . | nindent 8 }}
      {{- with $values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- with $values.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      {{- with $values.serviceAccountName }}
      serviceAccountName: {{ . }}
      {{- end }}
      {{- if not $values.serviceAccountName }}
      automountServiceAccountToken: false
      {{- end }}
      enableServiceLinks: false
      hostNetwork: {{ $values.hostNetwork }}
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
      {{- with $values.podSecurityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.nodeName }}
      nodeName: {{ . }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with include "ioc-instance.affinity" . }}
      affinity:
        {{- . | nindent 8 }}
      {{- end }}
      tolerations:
        - key: nodetype
          operator: Equal
          value: {{ include "ioc-instance.beamline" . | quote }}
          effect: NoSchedule
        {{- with $values.tolerations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      containers:
        {{- include "ioc-instance.iocContainer" . | nindent 8 }}
        {{- with $values.extraContainers }}
        {{- include "ioc-instance.sharingContainers" . | nindent 8 }}
        {{- end }}
      {{- with $values.initContainers }}
      initContainers:
        {{- include "ioc-instance.sharingContainers" . | nindent 8 }}
      {{- end }}
      {{- with include "ioc-instance.volumes" . }}
      volumes:
        {{- . | nindent 8 }}
      {{- end }}
{{- end -}}
