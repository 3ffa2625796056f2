{{/*
What the user chose for a group of entries: "pods" (mpod, vpod, vpodeviction) or "kinds" (those of our own kinds).

Everything is checked here. The API server sees the entries only when kruise-webhook publishes them (PL-48), long after
Helm has said that all is well; a value that it would refuse, or silently drop, has to be an error of the template that
names the key.
*/}}

{{/* Arguments: root, values, group. Gives failurePolicy, timeoutSeconds, namespaceSelector, objectSelector, matchConditions. */}}
{{- define "kruise.entrySettings" -}}
{{- $group := .group }}
{{- $given := dict }}
{{- range $name := list "failurePolicy" "timeouts" "namespaceSelector" "objectSelector" "matchConditions" }}
{{- $key := printf "webhookConfiguration.%s" $name }}
{{- $groups := index $.values.webhookConfiguration $name | default dict }}
{{- if not (kindIs "map" $groups) }}
{{- fail (printf "%s must hold pods and kinds, not %v" $key $groups) }}
{{- end }}
{{- range $member := keys $groups | sortAlpha }}
{{- if not (has $member (list "pods" "kinds")) }}
{{- fail (printf "%s.%s: there is no such group of entries; the groups are pods and kinds" $key $member) }}
{{- end }}
{{- end }}
{{- $_ := set $given $name (get $groups $group) }}
{{- end }}
{{- $policy := $given.failurePolicy | default "Fail" }}
{{- if not (has $policy (list "Ignore" "Fail")) }}
{{- fail (printf "webhookConfiguration.failurePolicy.%s must be Ignore or Fail, not %v" $group $policy) }}
{{- end }}
{{- $timeout := include "kruise.timeout" (dict "key" "webhookConfiguration.timeoutSeconds" "value" .values.webhookConfiguration.timeoutSeconds) }}
{{- if not (has (toString $given.timeouts) (list "" "<nil>")) }}
{{- $timeout = include "kruise.timeout" (dict "key" (printf "webhookConfiguration.timeouts.%s" $group) "value" $given.timeouts) }}
{{- end }}
{{- $builtIn := include "kruise.builtInNamespaces" . | fromYamlArray }}
{{- $namespaces := include "kruise.selector" (dict "key" (printf "webhookConfiguration.namespaceSelector.%s" $group) "value" $given.namespaceSelector) | fromYaml }}
{{- with concat $builtIn ($namespaces.matchExpressions | default list) }}
{{- $_ := set $namespaces "matchExpressions" . }}
{{- end }}
{{- $objects := include "kruise.selector" (dict "key" (printf "webhookConfiguration.objectSelector.%s" $group) "value" $given.objectSelector) | fromYaml }}
{{- $conditions := include "kruise.matchConditions" (dict "root" .root "key" (printf "webhookConfiguration.matchConditions.%s" $group) "value" $given.matchConditions) | fromYamlArray }}
{{- dict "failurePolicy" $policy "timeoutSeconds" (int $timeout) "namespaceSelector" $namespaces "objectSelector" $objects "matchConditions" $conditions | toYaml }}
{{- end }}

{{/* The namespaces that an entry never sees, whatever the user adds (IN-60, IN-62). Requirements only ever narrow. */}}
{{- define "kruise.builtInNamespaces" -}}
{{- $aks := .values.webhookConfiguration.aksIntegration }}
{{- $controlPlane := list }}
{{- if eq .group "pods" }}
{{- $controlPlane = append $controlPlane "openkruise" }}
{{- end }}
{{- if $aks }}
{{- $controlPlane = append $controlPlane "true" }}
{{- end }}
{{- $expressions := list }}
{{- with $controlPlane }}
{{- $expressions = append $expressions (dict "key" "control-plane" "operator" "NotIn" "values" .) }}
{{- end }}
{{- if eq .group "pods" }}
{{- $expressions = append $expressions (dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" (list "kube-system" .values.installation.namespace)) }}
{{- end }}
{{- if $aks }}
{{- $expressions = append $expressions (dict "key" "kubernetes.azure.com/managedby" "operator" "NotIn" "values" (list "aks")) }}
{{- end }}
{{- toYaml $expressions }}
{{- end }}

{{/* Seconds that the API server accepts as the time-out of an entry. */}}
{{- define "kruise.timeout" -}}
{{- if not (regexMatch "^([1-9]|[12][0-9]|30)$" (toString .value)) }}
{{- fail (printf "%s must be a whole number of seconds from 1 to 30, not %v" .key .value) }}
{{- end }}
{{- .value }}
{{- end }}

{{/* A name with an optional domain before it, as label keys and match conditions have. */}}
{{- define "kruise.isQualifiedName" -}}
{{- $name := toString . }}
{{- $domain := first (splitList "/" $name) }}
{{- if and (le (len $domain) 253) (regexMatch "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$" $name) }}true{{ end }}
{{- end }}

{{- define "kruise.isLabelValue" -}}
{{- if and (kindIs "string" .) (regexMatch "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$" (toString .)) }}true{{ end }}
{{- end }}

{{/* A label selector as the API server stores it: without empty members. Arguments: key, value. */}}
{{- define "kruise.selector" -}}
{{- $key := .key }}
{{- $value := .value | default dict }}
{{- if not (kindIs "map" $value) }}
{{- fail (printf "%s must be a label selector with matchLabels and matchExpressions, not %v" $key $value) }}
{{- end }}
{{- range $member := keys $value | sortAlpha }}
{{- if not (has $member (list "matchLabels" "matchExpressions")) }}
{{- fail (printf "%s.%s: a label selector has only matchLabels and matchExpressions" $key $member) }}
{{- end }}
{{- end }}
{{- $selector := dict }}
{{- with $value.matchLabels }}
{{- if not (kindIs "map" .) }}
{{- fail (printf "%s.matchLabels must be a map of labels, not %v" $key .) }}
{{- end }}
{{- range $name, $label := . }}
{{- if not (and (include "kruise.isQualifiedName" $name) (include "kruise.isLabelValue" $label)) }}
{{- fail (printf "%s.matchLabels: %v=%v is no label (values are strings)" $key $name $label) }}
{{- end }}
{{- end }}
{{- $_ := set $selector "matchLabels" . }}
{{- end }}
{{- with $value.matchExpressions }}
{{- if not (kindIs "slice" .) }}
{{- fail (printf "%s.matchExpressions must be a list of {key, operator, values}, not %v" $key .) }}
{{- end }}
{{- $expressions := list }}
{{- range $at, $expression := . }}
{{- $expressions = append $expressions (include "kruise.expression" (dict "key" (printf "%s.matchExpressions[%d]" $key $at) "value" $expression) | fromYaml) }}
{{- end }}
{{- $_ := set $selector "matchExpressions" $expressions }}
{{- end }}
{{- toYaml $selector }}
{{- end }}

{{/* One requirement of a label selector. Arguments: key, value. */}}
{{- define "kruise.expression" -}}
{{- $key := .key }}
{{- $value := .value }}
{{- if not (kindIs "map" $value) }}
{{- fail (printf "%s must be {key, operator, values}, not %v" $key $value) }}
{{- end }}
{{- range $member := keys $value | sortAlpha }}
{{- if not (has $member (list "key" "operator" "values")) }}
{{- fail (printf "%s.%s: a requirement has only key, operator and values" $key $member) }}
{{- end }}
{{- end }}
{{- if not (include "kruise.isQualifiedName" ($value.key | default "")) }}
{{- fail (printf "%s.key must be the key of a label, not %q" $key (toString ($value.key | default ""))) }}
{{- end }}
{{- $values := $value.values | default list }}
{{- if not (kindIs "slice" $values) }}
{{- fail (printf "%s.values must be a list, not %v" $key $values) }}
{{- end }}
{{- range $values }}
{{- if not (include "kruise.isLabelValue" .) }}
{{- fail (printf "%s.values: %v is no value of a label (values are strings)" $key .) }}
{{- end }}
{{- end }}
{{- $expression := dict "key" $value.key "operator" $value.operator }}
{{- if has $value.operator (list "In" "NotIn") }}
{{- if not $values }}
{{- fail (printf "%s.values must not be empty with operator %s" $key $value.operator) }}
{{- end }}
{{- $_ := set $expression "values" $values }}
{{- else if has $value.operator (list "Exists" "DoesNotExist") }}
{{- if $values }}
{{- fail (printf "%s.values must be empty with operator %s" $key $value.operator) }}
{{- end }}
{{- else }}
{{- fail (printf "%s.operator must be In, NotIn, Exists or DoesNotExist, not %v" $key $value.operator) }}
{{- end }}
{{- toYaml $expression }}
{{- end }}

{{/* Match conditions. Whether an expression is sound CEL only the API server can say. Arguments: root, key, value. */}}
{{- define "kruise.matchConditions" -}}
{{- $key := .key }}
{{- $conditions := .value | default list }}
{{- if not (kindIs "slice" $conditions) }}
{{- fail (printf "%s must be a list of {name, expression}, not %v" $key $conditions) }}
{{- end }}
{{- if and $conditions (not (include "kruise.isKubeAtLeast" (dict "root" .root "minor" 28))) }}
{{- fail (printf "%s needs Kubernetes 1.28, and this is rendered for %s (without a cluster: --kube-version): its API server would drop the conditions without a word, and the webhook would be called for everything" $key .root.Capabilities.KubeVersion.Version) }}
{{- end }}
{{- if gt (len $conditions) 64 }}
{{- fail (printf "%s has %d conditions; the API server takes 64" $key (len $conditions)) }}
{{- end }}
{{- $names := list }}
{{- range $at, $condition := $conditions }}
{{- $at := printf "%s[%d]" $key $at }}
{{- if not (kindIs "map" $condition) }}
{{- fail (printf "%s must be {name, expression}, not %v" $at $condition) }}
{{- end }}
{{- range $member := keys $condition | sortAlpha }}
{{- if not (has $member (list "name" "expression")) }}
{{- fail (printf "%s.%s: a condition has only name and expression" $at $member) }}
{{- end }}
{{- end }}
{{- if not (include "kruise.isQualifiedName" ($condition.name | default "")) }}
{{- fail (printf "%s.name must be a name such as leave-out-jobs, not %q" $at (toString ($condition.name | default ""))) }}
{{- end }}
{{- if has $condition.name $names }}
{{- fail (printf "%s.name: %s is there twice" $at $condition.name) }}
{{- end }}
{{- $names = append $names $condition.name }}
{{- if not (and (kindIs "string" $condition.expression) (trim (toString $condition.expression))) }}
{{- fail (printf "%s.expression must be a CEL expression, not %v" $at ($condition.expression | default "empty")) }}
{{- end }}
{{- end }}
{{- toYaml $conditions }}
{{- end }}
