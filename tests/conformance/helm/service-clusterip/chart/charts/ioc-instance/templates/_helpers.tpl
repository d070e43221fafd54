{{- define "ip" -}}
{{- $parts := split "/" .baseIp -}}
{{- $octets := split "." $parts._0 -}}
{{- $free := sub 32 (int $parts._1) | int -}}
{{- $size := 1 -}}
{{- range until $free }}{{- $size = mul $size 2 -}}{{- end -}}
{{- $offset := mod (adler32sum .name | atoi) $size -}}
{{- $o3 := mod $offset 256 -}}
{{- $o2 := mod (div $offset 256) 256 -}}
{{- $o1 := add (int $octets._1) (div $offset 65536) -}}
{{- printf "%d.%d.%d.%d" (int $octets._0) $o1 $o2 $o3 -}}
{{- end -}}
{{- define "labels" -}}
app: {{ .Release.Name }}
domain: {{ .Values.global.domain | default "none" }}
{{- with .Values.global.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
