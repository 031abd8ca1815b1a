import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer, get } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { localAuthority } from "../../src/local/ca.ts";

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "mooring-ca-"));
});
afterEach(() => rm(cache, { recursive: true, force: true }));

/** Python's strictest checks, which its clients use by default from 3.13 on. */
const strictPython = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT
with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as raw:
    with context.wrap_socket(raw, server_hostname=sys.argv[3]) as tls:
        print(tls.version())
`;

test("the CA is made once, also when several start at once, and its key is for its owner alone", async () => {
  const authorities = await Promise.all(Array.from({ length: 5 }, () => localAuthority(cache)));
  const made = await readFile(join(cache, "ca", "ca.pem"), "utf8");
  await localAuthority(cache);
  expect(await readFile(join(cache, "ca", "ca.pem"), "utf8")).toBe(made);
  expect((await stat(join(cache, "ca", "ca-key.pem"))).mode & 0o777).toBe(0o600);
  for (const authority of authorities) {
    const { certFile, keyFile } = await authority.issue(cache);
    const issuer = new X509Certificate(made);
    const leaf = new X509Certificate(await readFile(certFile));
    expect(leaf.verify(issuer.publicKey)).toBe(true);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
  }
});

test("clients that trust the CA accept the certificate for localhost, 127.0.0.1 and ::1, Python's strict ones too", async () => {
  const authority = await localAuthority(cache);
  const { certFile, keyFile } = await authority.issue(cache);
  const leaf = new X509Certificate(await readFile(certFile));
  expect([leaf.checkHost("localhost"), leaf.checkIP("127.0.0.1"), leaf.checkIP("::1")]).not.toContain(undefined);
  const server = createServer({ cert: await readFile(certFile), key: await readFile(keyFile) }, (_, response) => {
    response.end("secure");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    const ca = await readFile(authority.certFile);
    for (const host of ["localhost", "127.0.0.1"]) {
      const [response] = await once(get({ host, port, ca, lookup: toLoopback, agent: false }), "response");
      expect(response.statusCode).toBe(200);
      response.resume();
      const args = ["-c", strictPython, authority.certFile, String(port), host];
      const { stdout } = await promisify(execFile)("python3", args, { timeout: 20_000 });
      expect(stdout.trim()).toBe("TLSv1.3");
    }
    const refused = once(get({ host: "127.0.0.1", port, agent: false }), "response");
    await expect(refused).rejects.toMatchObject({ code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

/** The server listens on IPv4 only, whatever the machine takes localhost for. */
function toLoopback(
  _host: string,
  options: { all?: boolean },
  callback: (error: null, address: string | { address: string; family: number }[], family?: number) => void,
): void {
  if (options.all) callback(null, [{ address: "127.0.0.1", family: 4 }]);
  else callback(null, "127.0.0.1", 4);
}

test("a CA that ends before a new certificate would is replaced", async () => {
  await localAuthority(cache);
  const before = new X509Certificate(await readFile(join(cache, "ca", "ca.pem")));
  const later = Date.parse(before.validTo) - 300 * 86_400_000;
  await localAuthority(cache, later);
  const after = new X509Certificate(await readFile(join(cache, "ca", "ca.pem")));
  expect(Date.parse(after.validTo)).toBeGreaterThan(later + 397 * 86_400_000);
  expect(after.serialNumber).not.toBe(before.serialNumber);
});
