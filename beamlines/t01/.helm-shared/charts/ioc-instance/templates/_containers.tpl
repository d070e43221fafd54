{{/* Environment as a YAML list: our own, then globalEnv, then iocEnv; the last value of a name wins. */}}
{{- define "ioc-instance.env" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- $all := list
  (dict "name" "IOC_NAME" "value" .Release.Name)
  (dict "name" "IOC_PREFIX" "value" (default .Release.Name $values.prefix))
  (dict "name" "IOC_LOCATION" "value" (include "ioc-instance.location" .))
  (dict "name" "IOC_DOMAIN" "value" (include "ioc-instance.domain" .))
  (dict "name" "IOCSH_PS1" "value" (printf "%s > " .Release.Name))
  (dict "name" "HOME" "value" "/tmp")
  (dict "name" "TERM" "value" "xterm-256color")
-}}
{{- $all = concat $all $values.globalEnv $values.iocEnv -}}
{{- $last := dict -}}
{{- range $all -}}
{{- $_ := set $last .name . -}}
{{- end -}}
{{- $written := dict -}}
{{- $env := list -}}
{{- range $all -}}
{{- if not (hasKey $written .name) -}}
{{- $_ := set $written .name true -}}
{{- $env = append $env (get $last .name) -}}
{{- end -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{/* A probe: the whole object if it is given, else the script with the given timing, else nothing. */}}
{{- define "ioc-instance.probe" -}}
{{- if .probe -}}
{{- toYaml .probe -}}
{{- else if .script -}}
{{- toYaml (merge (dict "exec" (dict "command" (list "/bin/bash" .script))) .timing) -}}
{{- end -}}
{{- end -}}

{{/* Who the IOC's process is. Kubernetes gives a device of the node to privileged containers only. */}}
{{- define "ioc-instance.securityContext" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- $context := deepCopy $values.securityContext -}}
{{- if and $values.devices (not (hasKey $context "privileged")) -}}
{{- $_ := set $context "privileged" true -}}
{{- end -}}
{{- if get $context "privileged" -}}
{{- $context = omit $context "allowPrivilegeEscalation" -}}
{{- end -}}
{{- with $context -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "ioc-instance.iocContainer" -}}
{{- $values := index .Values "ioc-instance" -}}
- name: {{ .Release.Name }}
  image: {{ $values.image | quote }}
  imagePullPolicy: {{ $values.imagePullPolicy }}
  {{- with $values.command }}
  command:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  stdin: true
  tty: true
  {{- with include "ioc-instance.securityContext" . }}
  securityContext:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env: &env
    {{- include "ioc-instance.env" . | nindent 4 }}
  volumeMounts: &volumeMounts
    {{- include "ioc-instance.volumeMounts" . | nindent 4 }}
  {{- with include "ioc-instance.probe" (dict "probe" $values.startupProbe "script" $values.startupExecutable "timing" (dict "periodSeconds" 5 "timeoutSeconds" 5 "failureThreshold" 720)) }}
  startupProbe:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with include "ioc-instance.probe" (dict "probe" $values.livenessProbe "script" $values.livenessExecutable "timing" (dict "initialDelaySeconds" 60 "periodSeconds" 30 "timeoutSeconds" 5 "failureThreshold" 3)) }}
  livenessProbe:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with include "ioc-instance.probe" (dict "probe" $values.readinessProbe "script" $values.readinessExecutable "timing" (dict "initialDelaySeconds" 10 "periodSeconds" 30 "timeoutSeconds" 5)) }}
  readinessProbe:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $values.preStopExecutable }}
  lifecycle:
    preStop:
      exec:
        command:
          - /bin/bash
          - {{ . | quote }}
  {{- end }}
{{- end -}}

{{/* Containers beside the IOC; what they do not set themselves they share with it. */}}
{{- define "ioc-instance.sharingContainers" -}}
{{- range . }}
- {{ toYaml (omit . "env" "volumeMounts") | nindent 2 | trim }}
  {{- if hasKey . "env" }}
  env:
    {{- toYaml .env | nindent 4 }}
  {{- else }}
  env: *env
  {{- end }}
  {{- if hasKey . "volumeMounts" }}
  volumeMounts:
    {{- toYaml .volumeMounts | nindent 4 }}
  {{- else }}
  volumeMounts: *volumeMounts
  {{- end }}
{{- end }}
{{- end -}}
