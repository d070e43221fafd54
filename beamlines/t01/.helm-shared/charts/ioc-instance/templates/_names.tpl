{{- define "ioc-instance.global" -}}
{{- toJson (default dict .Values.global) -}}
{{- end -}}

{{- define "ioc-instance.location" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- default (get (fromJson (include "ioc-instance.global" .)) "location") $values.location -}}
{{- end -}}

{{- define "ioc-instance.domain" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- default (get (fromJson (include "ioc-instance.global" .)) "domain") $values.domain -}}
{{- end -}}

{{- define "ioc-instance.beamline" -}}
{{- $values := index .Values "ioc-instance" -}}
{{- default (include "ioc-instance.domain" .) $values.beamline -}}
{{- end -}}

{{/* "true", or nothing for an instance that is kept stopped. */}}
{{- define "ioc-instance.enabled" -}}
{{- $global := fromJson (include "ioc-instance.global" .) -}}
{{- if not (eq (toString (get $global "enabled")) "false") -}}true{{- end -}}
{{- end -}}

{{/* Labels that every resource and the pod have; a label of the chart wins over one of `global.labels`. */}}
{{- define "ioc-instance.labels" -}}
{{- $own := dict
  "app" .Release.Name
  "beamline" (include "ioc-instance.beamline" .)
  "domain" (include "ioc-instance.domain" .)
  "ioc" "true"
  "location" (include "ioc-instance.location" .)
-}}
{{- $more := default dict (get (fromJson (include "ioc-instance.global" .)) "labels") -}}
{{- toYaml (merge $own $more) -}}
{{- end -}}

{{/* The files of `config/` and, base64, of `config-binary/` as they stand in the ConfigMap; empty when there are none. */}}
{{- define "ioc-instance.config" -}}
{{- $text := .Files.Glob "config/*" -}}
{{- $binary := .Files.Glob "config-binary/*" -}}
{{- if $text }}
data:
  {{- $text.AsConfig | nindent 2 }}
{{- end }}
{{- if $binary }}
binaryData:
  {{- $binary.AsSecrets | nindent 2 }}
{{- end }}
{{- end -}}
