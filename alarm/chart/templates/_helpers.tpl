{{- /* Beginning of all names: the release, which is called after the chart or not. */ -}}
{{- define "alarm.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Name of a configuration as part of a name: (dict "name" …). */ -}}
{{- define "alarm.slug" -}}
{{- .name | lower | replace "_" "-" | replace "." "-" | trunc 20 | trimSuffix "-" -}}
{{- end -}}

{{- define "alarm.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "alarm.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: alarm
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Labels that select pods: (dict "root" $ "component" … "configuration" …). */ -}}
{{- define "alarm.selector" -}}
app.kubernetes.io/name: alarm
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .configuration }}
alarm/configuration: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "alarm.priorityClass" -}}
{{- if .Values.priorityClass.create -}}
{{- printf "%s-%s" .Release.Namespace (include "alarm.name" .) -}}
{{- else -}}
{{- .Values.priorityClass.name -}}
{{- end -}}
{{- end -}}

{{- define "alarm.kafka.bootstrap" -}}
{{- if .Values.kafka.strimzi.enabled -}}
{{- printf "%s-kafka-bootstrap:9093" .Values.kafka.strimzi.name -}}
{{- else -}}
{{- required "kafka.bootstrap: where are the brokers?" .Values.kafka.bootstrap -}}
{{- end -}}
{{- end -}}

{{- /* What names the bus, as variables: who runs `ioc alarm …` in a pod means the same one. (dict "root" $ "configuration" …) */ -}}
{{- define "alarm.bus" -}}
- name: IOC_ALARM_CONFIG
  value: {{ .configuration | quote }}
- name: IOC_KAFKA
  value: {{ include "alarm.kafka.bootstrap" .root | quote }}
{{- if or .root.Values.kafka.strimzi.enabled .root.Values.kafka.propertiesSecret }}
- name: IOC_KAFKA_PROPERTIES
  value: /run/alarm/kafka/client.properties
{{- end }}
{{- end -}}

{{- /* What all pods have in common: (dict "root" $ "account" …). */ -}}
{{- define "alarm.pod" -}}
serviceAccountName: {{ if .root.Values.serviceAccounts.create }}{{ include "alarm.name" .root }}-{{ .account }}{{ else }}default{{ end }}
automountServiceAccountToken: false
{{- with include "alarm.priorityClass" .root }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .root.Values.podSecurity.runAsUser | int64 }}
  runAsGroup: {{ .root.Values.podSecurity.fsGroup | int64 }}
  fsGroup: {{ .root.Values.podSecurity.fsGroup | int64 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "alarm.container.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /*
Secrets are copied to files that nobody else can read: `ioc` refuses others, and the kubelet gives files of Secrets to the
group of the pod. (dict "root" $ "user" "name of the Strimzi user" "secrets" list of Secrets for /run/alarm/secrets)
*/ -}}
{{- define "alarm.secrets.init" -}}
- name: secrets
  image: {{ include "alarm.image" .root | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command:
    - /bin/sh
    - -euc
    - |
      umask 077
      mkdir -p /run/alarm/kafka /run/alarm/secrets
      for file in /from/kafka/* /from/secrets/*/*; do
        [ -f "$file" ] || continue
        case "$file" in
          /from/kafka/*) to=/run/alarm/kafka ;;
          *) to=/run/alarm/secrets ;;
        esac
        cat "$file" > "$to/$(basename "$file")"
      done
      # whoever looks around in the pod is the first viewer of the list
      if [ -f /run/alarm/secrets/tokens ]; then
        sed -n 's/^ *viewer  *[^ ]*  *\([^ ]*\) *$/\1/p' /run/alarm/secrets/tokens | head -n 1 > /run/alarm/viewer
      fi
      {{- if .root.Values.kafka.strimzi.enabled }}
      {
        echo security.protocol=SASL_SSL
        echo sasl.mechanism=SCRAM-SHA-512
        echo ssl.truststore.type=PEM
        echo ssl.truststore.location=/run/alarm/kafka/ca.crt
        printf 'sasl.jaas.config=%s\n' "$(cat /from/user/sasl.jaas.config)"
      } > /run/alarm/kafka/client.properties
      cat /from/ca/ca.crt > /run/alarm/kafka/ca.crt
      {{- end }}
  securityContext:
    {{- include "alarm.container.security" . | nindent 4 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - name: run
      mountPath: /run/alarm
    {{- if .root.Values.kafka.strimzi.enabled }}
    - name: kafka-user
      mountPath: /from/user
      readOnly: true
    - name: kafka-ca
      mountPath: /from/ca
      readOnly: true
    {{- else if .root.Values.kafka.propertiesSecret }}
    - name: kafka
      mountPath: /from/kafka
      readOnly: true
    {{- end }}
    {{- range $index, $secret := .secrets }}
    - name: secret-{{ $index }}
      mountPath: /from/secrets/{{ $index }}
      readOnly: true
    {{- end }}
{{- end -}}

{{- define "alarm.secrets.volumes" -}}
- name: run
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if .root.Values.kafka.strimzi.enabled }}
- name: kafka-user
  secret:
    secretName: {{ .user }}
- name: kafka-ca
  secret:
    secretName: {{ .root.Values.kafka.strimzi.name }}-cluster-ca-cert
{{- else if .root.Values.kafka.propertiesSecret }}
- name: kafka
  secret:
    secretName: {{ .root.Values.kafka.propertiesSecret }}
{{- end }}
{{- range $index, $secret := .secrets }}
- name: secret-{{ $index }}
  secret:
    secretName: {{ $secret }}
{{- end }}
{{- end -}}

{{- /* Where pods may be: (dict "root" $ "component" … "configuration" … "of" values of the component). */ -}}
{{- define "alarm.placement" -}}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "alarm.selector" . | nindent 12 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ .root.Values.server.zoneKey }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "alarm.selector" . | nindent 8 }}
{{- with .of.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
