Prometheus alert rules (`etc/prometheus`), a Grafana dashboard (`etc/grafana`), and a page that says what each metric means and which one takes the place of postfix_exporter's (docs/metrics.md).
