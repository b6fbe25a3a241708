{{- define "reprise.name" -}}
{{- printf "%s-reprise" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "reprise.labels" -}}
app.kubernetes.io/name: reprise
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "reprise.shared" -}}
{{- if or .Values.redis.url .Values.redis.existingSecret -}}true{{- end -}}
{{- end -}}
