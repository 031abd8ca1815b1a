import { renderHaproxy } from "../edge/haproxy.ts";
import { renderNginx } from "../edge/nginx.ts";
import { addressesOf, type ConfigFile, nodesOf, problemOf, type WrittenConfig, wrongUsage } from "./config-options.ts";
import { settingOf } from "./node-options.ts";

type WrittenBalancer = WrittenConfig & { readonly file: string };

export function haproxyFiles(written: WrittenBalancer): ConfigFile[] {
  const content = renderHaproxy({ nodes: nodesOf(written) }, optionsOf("haproxy", written));
  const about = ["everything that HAProxy reads; after a change: haproxy -c -f FILE, then reload"];
  return [{ path: written.file, about: [...about, ...notes(written)], content }];
}

export function nginxFiles(written: WrittenBalancer): ConfigFile[] {
  const schemes = new Set((written.node ?? []).map(({ url }) => new URL(url).protocol));
  if (schemes.size > 1) {
    throw wrongUsage("config nginx: it reaches all nodes either over HTTP or over HTTPS. Give addresses of one kind.");
  }
  const content = renderNginx({ nodes: nodesOf(written) }, optionsOf("nginx", written));
  const about = ["for the http context of nginx.conf; after a change: nginx -t, then nginx -s reload"];
  return [{ path: written.file, about: [...about, ...notes(written)], content }];
}

function optionsOf(target: string, written: WrittenBalancer) {
  const { cert, key } = written;
  const problem = problemOf(written);
  if (problem !== undefined) throw wrongUsage(`config ${target}: ${problem}`);
  const addresses = addressesOf(written, { web: ":80", ...(cert === undefined ? {} : { websecure: ":443" }) });
  if (addresses.websecure !== undefined && cert === undefined) {
    throw wrongUsage(`config ${target}: --entrypoint websecure needs a certificate. Give its file with --cert.`);
  }
  const certificate = cert === undefined ? undefined : { certFile: cert, keyFile: key };
  return { ...addresses, affinity: settingOf(written, "affinity"), certificate };
}

function notes({ cert }: WrittenBalancer): string[] {
  if (cert !== undefined) return [];
  return [
    "There is no HTTPS here, and the sticky cookie is Secure: most clients send it over HTTPS only.",
    "Give --cert, or end HTTPS in what stands before this balancer.",
  ];
}
