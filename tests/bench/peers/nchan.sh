#!/bin/sh
# SPDX-License-Identifier: MIT
# nchan.sh: nginx with nchan, one process, on PORT; with "test" only tells whether it can run.
set -u
PATH=$PATH:/usr/sbin:/usr/local/sbin
module=$(find /usr/lib/nginx/modules /usr/lib64/nginx/modules /usr/local/libexec/nginx \
  -name 'ngx_nchan_module.so' 2>/dev/null | head -n 1)
[ -n "$module" ] && command -v nginx >/dev/null || exit 1
[ "${1:-}" = test ] && exit 0

dir=$(mktemp -d) || exit 1
mkdir "$dir/temp"
cat >"$dir/nginx.conf" <<END
load_module $module;
user root;
daemon off;
master_process off;
worker_rlimit_nofile $(ulimit -Hn);
pid $dir/nginx.pid;
error_log stderr crit;
events { worker_connections $(($(ulimit -Hn) - 50)); }
http {
  access_log off;
  client_body_temp_path $dir/temp;
  proxy_temp_path $dir/temp;
  fastcgi_temp_path $dir/temp;
  uwsgi_temp_path $dir/temp;
  scgi_temp_path $dir/temp;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_max_body_size 1m;
  client_body_buffer_size 64k;
  nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:$PORT backlog=4096;
    location /stream {
      nchan_subscriber eventsource;
      nchan_channel_id \$arg_channel;
      nchan_subscriber_first_message newest;
      nchan_eventsource_ping_interval 0;
    }
    location /publish {
      nchan_publisher;
      nchan_channel_id \$arg_channel;
      nchan_message_buffer_length 1024;
    }
  }
}
END
# The configuration is read at the start; nothing else is kept on disk.
exec nginx -p "$dir" -c "$dir/nginx.conf"
