{{ define "x" }}
 {{ include "y" .Values }}{{ end }}{{ define "y" }}{{ .a.b.c }}{{ end }}