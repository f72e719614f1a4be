Behind a load balancer the client is whom its PROXY header names (versions 1 and 2), from balancers named in `proxy_from`; `etc/haproxy.cfg` is a tested example.
