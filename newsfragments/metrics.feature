`/metrics` for Prometheus (text and OpenMetrics), `/livez` and `/readyz`, and the API over the web with tokens (docs/monitoring.md). Who may read metrics: `[web] metrics_from`.
