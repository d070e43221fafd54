{{- define "ioc-statefulset" -}}
{{- $location := default .Values.global.location (get .Values "ioc-instance").location | required "ERROR - You must supply location or global.location" -}}
{{- $ioc := get .Values "ioc-instance" -}}
{{- with $ioc }}
{{- $image := .image | required "ERROR - You must supply image." }}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $.Release.Name }}
  labels:
    {{- include "labels" $ | nindent 4 }}
    location: {{ $location }}
    enabled: {{ $.Values.global.enabled | quote }}
    ioc: "true"
spec:
  replicas: {{ ternary 1 0 (ne (toString $.Values.global.enabled) "false") }}
  podManagementPolicy: Parallel
  template:
    metadata:
      labels:
        configHash: {{ $.Values.configFolderConfigMap | sha1sum | trunc 16 | quote }}
    spec:
      hostNetwork: {{ .hostNetwork }}
      {{- if .nodeName }}
      nodeName: {{ .nodeName }}
      {{- else if .affinity }}
      affinity: {{- toYaml .affinity | nindent 8 }}
      {{- end }}
      {{- with .tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
      - name: {{ $.Release.Name }}
        image: {{ $image }}
        volumeMounts: &volumeMounts
        {{- if or .dataVolume.pvc .dataVolume.hostPath }}
        - name: {{ $.Release.Name }}-data
          mountPath: {{ .dataVolume.hostPath | default "/data" }}
        {{- end }}
        - name: config
          mountPath: /epics/ioc/config
        {{- if .livenessExecutable }}
        livenessProbe:
          exec:
            command: [/bin/bash, {{ .livenessExecutable }}]
        {{- end }}
        resources: {{- toYaml .resources | nindent 10 }}
        env: &env
        - name: IOCSH_PS1
          value: {{ $.Release.Name }} >
        - name: IOC_PREFIX
          value: {{ default $.Release.Name .prefix }}
        {{- range $key, $value := .iocEnv }}
        - name: {{ $value.name }}
          value: {{ $value.value | quote }}
        {{- end }}
        {{- range $i, $usb := .usbDevices }}
        {{- $keys := keys $usb | sortAlpha }}
        - name: {{ printf "USB_%02d" (add1 $i) }}
          value: {{ range $k := $keys }}{{ $k }}={{ get $usb $k }};{{ end }}
        {{- end }}
      - name: second
        env: *env
        volumeMounts: *volumeMounts
{{- end }}
{{- end -}}
