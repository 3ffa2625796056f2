{{/*
Whether what kruise-webhook writes into this live object (webhooks, caBundle) was never part of the release: then it
stays out of it. Helm merges the manifests of two revisions into the live object; what neither holds survives install,
upgrade, rollback and a second "kubectl apply" untouched. An object without our mark was made by another chart whose
manifests held those fields: leaving them out now would remove them, so they are carried over for good (IN-47).
*/}}
{{- define "kruise.leftToWebhook" -}}
{{- if or (not .) (eq (dig "metadata" "annotations" "kruise.io/left-to-webhook" "" .) "true") }}true{{ end }}
{{- end }}

{{/*
One entry, with the defaults of the API written out: what kruise-webhook computes from it then compares equal to what
the API server returns, and nothing is written twice (IN-33).
*/}}
{{- define "kruise.entry" -}}
- name: {{ .name }}
  admissionReviewVersions: [v1, v1beta1]
  clientConfig:
    service:
      name: kruise-webhook-service
      namespace: {{ .values.installation.namespace }}
      path: {{ .path }}
      port: 443
    {{- with .caBundle }}
    caBundle: {{ . }}
    {{- end }}
  failurePolicy: {{ .settings.failurePolicy }}
  {{- with .settings.matchConditions }}
  matchConditions:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  matchPolicy: Equivalent
  namespaceSelector:
    {{- toYaml .settings.namespaceSelector | nindent 4 }}
  objectSelector:
    {{- toYaml .settings.objectSelector | nindent 4 }}
  {{- if .mutating }}
  reinvocationPolicy: Never
  {{- end }}
  rules:
    - apiGroups: [{{ .group | quote }}]
      apiVersions: {{ toJson .versions }}
      operations: {{ toJson .operations }}
      resources: [{{ .resource }}]
      scope: "*"
  sideEffects: None
  timeoutSeconds: {{ int .settings.timeoutSeconds }}
{{- end }}

{{/*
Entries of the kinds and Pod paths that this release serves (IN-28, IN-29). Arguments: root, values, bundles by name.
*/}}
{{- define "kruise.entries.mutating" -}}
{{- $common := dict "values" .values "mutating" true }}
{{- $kinds := include "kruise.entrySettings" (dict "root" .root "values" .values "group" "kinds") | fromYaml }}
{{- $cloneset := merge (dict "group" "apps.kruise.io" "versions" (list "v1alpha1" "v1beta1") "resource" "clonesets" "settings" $kinds) $common }}
{{- $podSettings := include "kruise.entrySettings" (dict "root" .root "values" .values "group" "pods") | fromYaml }}
{{- $pods := merge (dict "group" "" "versions" (list "v1") "settings" $podSettings) $common }}
{{- if include "kruise.gate.podWebhook" .values }}
{{ include "kruise.entry" (merge (dict "name" "mpod.kb.io" "path" "/mutate-pod" "resource" "pods" "operations" (list "CREATE") "caBundle" (get .bundles "mpod.kb.io")) $pods) }}
{{- end }}
{{ include "kruise.entry" (merge (dict "name" "mcloneset.kb.io" "path" "/mutate-apps-kruise-io-cloneset" "operations" (list "CREATE" "UPDATE") "caBundle" (get .bundles "mcloneset.kb.io")) $cloneset) }}
{{- end }}

{{- define "kruise.entries.validating" -}}
{{- $kinds := include "kruise.entrySettings" (dict "root" .root "values" .values "group" "kinds") | fromYaml }}
{{- $cloneset := dict "values" .values "group" "apps.kruise.io" "versions" (list "v1alpha1" "v1beta1") "resource" "clonesets" "settings" $kinds }}
{{- $podSettings := include "kruise.entrySettings" (dict "root" .root "values" .values "group" "pods") | fromYaml }}
{{- $pods := dict "values" .values "group" "" "versions" (list "v1") "path" "/validate-pod" "settings" $podSettings }}
{{- /* The object of an eviction is the Eviction, whose labels are not those of the Pod: no budget may be bypassed so. */}}
{{- $evictions := set (omit $pods "settings") "settings" (set (deepCopy $podSettings) "objectSelector" dict) }}
{{- if include "kruise.gate.podWebhook" .values }}
{{ include "kruise.entry" (merge (dict "name" "vpod.kb.io" "resource" "pods" "operations" (list "UPDATE" "DELETE") "caBundle" (get .bundles "vpod.kb.io")) $pods) }}
{{ include "kruise.entry" (merge (dict "name" "vpodeviction.kb.io" "resource" "pods/eviction" "operations" (list "CREATE") "caBundle" (get .bundles "vpodeviction.kb.io")) $evictions) }}
{{- end }}
{{ include "kruise.entry" (merge (dict "name" "vcloneset.kb.io" "path" "/validate-apps-kruise-io-cloneset" "operations" (list "CREATE" "UPDATE" "DELETE") "caBundle" (get .bundles "vcloneset.kb.io")) $cloneset) }}
{{- end }}

{{/*
A webhook configuration. Its entries wait in the annotation "template" (PL-48) until a replica of kruise-webhook
serves; the replica then computes "webhooks" from it, with the CA. So no call can fail before somebody answers, and a
changed template is all that an upgrade has to bring.

With external certificates kruise-webhook writes nothing (IN-38): the entries are rendered here, and the bundles that
an injector put into the live object are carried over.
*/}}
{{- define "kruise.webhookConfiguration" -}}
{{- $live := lookup "admissionregistration.k8s.io/v1" .kind "" .name }}
{{- $external := include "kruise.gate.externalCerts" .values }}
{{- $wanted := include .entries (dict "root" .root "values" .values "bundles" dict) | fromYamlArray }}
{{- $annotations := deepCopy .values.externalCerts.annotations }}
{{- if $external }}
{{- $_ := set $annotations "template" "" }}
{{- else }}
{{- $_ := set $annotations "template" (toJson $wanted) }}
{{- if include "kruise.leftToWebhook" $live }}
{{- $_ := set $annotations "kruise.io/left-to-webhook" "true" }}
{{- end }}
{{- end -}}
apiVersion: admissionregistration.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  labels:
    {{- include "kruise.labels" "webhook" | nindent 4 }}
  annotations:
    {{- range $key, $value := $annotations }}
    {{- /* squote leaves quotes inside as they are, and a match condition may hold some. */}}
    {{ $key }}: {{ toString $value | replace "'" "''" | squote }}
    {{- end }}
{{- if $external }}
{{- $bundles := dict }}
{{- range $live.webhooks }}
{{- $_ := set $bundles .name (.clientConfig.caBundle | default "") }}
{{- end }}
webhooks:
  {{- include .entries (dict "root" .root "values" .values "bundles" $bundles) | trim | nindent 2 }}
{{- else if not (include "kruise.leftToWebhook" $live) }}
{{- $names := list }}
{{- range $wanted }}
{{- $names = append $names .name }}
{{- end }}
{{- $carried := list }}
{{- range $live.webhooks }}
{{- if has .name $names }}
{{- $carried = append $carried . }}
{{- end }}
{{- end }}
webhooks:
  {{- toYaml $carried | nindent 2 }}
{{- end }}
{{- end }}
