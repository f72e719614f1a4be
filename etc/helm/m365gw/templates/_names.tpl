{{/* What the objects are called, and the labels by which they are found. */}}
{{- define "m365gw.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "m365gw.selector" -}}
app.kubernetes.io/name: m365gw
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "m365gw.labels" -}}
{{ include "m365gw.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}
