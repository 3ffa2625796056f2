{{/*
Refuses what would lose data (ruling 14). Included where the CustomResourceDefinitions are rendered.

An upgrade from a release whose chart carries more kinds than this one would delete the definitions that are missing
here, and with them all their objects. Only the two groups of that chart count: other projects share the domain.
*/}}
{{- define "kruise.guard" -}}
{{- $carried := list }}
{{- range $path, $bytes := .root.Files.Glob "crds-src/*.yaml" }}
{{- $carried = append $carried (toString $bytes | fromYaml).metadata.name }}
{{- end }}
{{- $missing := list }}
{{- range (lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "").items }}
{{- if and (has .spec.group (list "apps.kruise.io" "policy.kruise.io")) (not (has .metadata.name $carried)) }}
{{- $missing = append $missing .metadata.name }}
{{- end }}
{{- end }}
{{- if $missing }}
{{- fail (printf "the cluster has CustomResourceDefinitions that kruise-rs %s does not carry yet: %s. Going on would delete them with all their objects; nothing was changed." .root.Chart.AppVersion (join ", " (sortAlpha $missing))) }}
{{- end }}
{{- end }}
