import { webcrypto, X509Certificate } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
// The certificate library finds its parts by decorators, which need this first.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

/** The authority that signs the certificates of local clusters: made once, and kept in the cache. */
export interface LocalAuthority {
  /** The certificate that clients are to trust. */
  readonly certFile: string;
  /** Signs a certificate for localhost, 127.0.0.1 and ::1, and writes it with its key into a folder. */
  issue(folder: string): Promise<{ readonly certFile: string; readonly keyFile: string }>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 86_400_000;
const authorityDays = 3_650;
/** Apple's systems trust no certificate that lasts longer than 398 days. A cluster gets a new one at each start. */
const leafDays = 397;

/** Gives the authority of a cache folder; makes one where there is none, or where it ends before a new certificate would. */
export async function localAuthority(cache: string, now: number = Date.now()): Promise<LocalAuthority> {
  const folder = join(cache, "ca");
  const kept = await load(folder);
  if (kept !== undefined && Date.parse(new X509Certificate(kept.cert).validTo) > now + leafDays * dayMs) {
    return authority(folder, kept);
  }
  await make(cache, folder, kept !== undefined, now);
  const made = await load(folder);
  if (made === undefined) throw new Error(`The local CA in ${folder} can't be read. Remove that folder and try again.`);
  return authority(folder, made);
}

interface Pems {
  readonly cert: string;
  readonly key: string;
}

async function load(folder: string): Promise<Pems | undefined> {
  try {
    const cert = await readFile(join(folder, "ca.pem"), "utf8");
    return { cert, key: await readFile(join(folder, "ca-key.pem"), "utf8") };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes the pair in a folder of its own and renames that: of two processes that do so at once, one wins for both. */
async function make(cache: string, folder: string, replace: boolean, now: number): Promise<void> {
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const draft = await mkdtemp(join(cache, ".draft-ca-"));
  try {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const cert = await x509.X509CertificateGenerator.create({
      ...validity(now, authorityDays),
      subject: "CN=Mooring local CA",
      issuer: "CN=Mooring local CA",
      publicKey: keys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    await writeFile(join(draft, "ca-key.pem"), await keyPem(keys.privateKey), { mode: 0o600 });
    await writeFile(join(draft, "ca.pem"), `${cert.toString("pem")}\n`, { mode: 0o644 });
    if (replace) await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function authority(folder: string, { cert, key }: Pems): LocalAuthority {
  return {
    certFile: join(folder, "ca.pem"),
    async issue(target) {
      const issuer = new x509.X509Certificate(cert);
      const signingKey = await webcrypto.subtle.importKey("pkcs8", derOf(key), algorithm, false, ["sign"]);
      const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const leaf = await x509.X509CertificateGenerator.create({
        ...validity(Date.now(), leafDays),
        subject: "CN=localhost",
        issuer: issuer.subject,
        publicKey: keys.publicKey,
        signingKey,
        signingAlgorithm: algorithm,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
          new x509.SubjectAlternativeNameExtension([
            { type: "dns", value: "localhost" },
            { type: "ip", value: "127.0.0.1" },
            { type: "ip", value: "::1" },
          ]),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
          // Python 3.13 and later trust no certificate without it.
          await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
        ],
      });
      const files = { certFile: join(target, "localhost.pem"), keyFile: join(target, "localhost-key.pem") };
      await writeFile(files.keyFile, await keyPem(keys.privateKey), { mode: 0o600 });
      await writeFile(files.certFile, `${leaf.toString("pem")}\n`);
      return files;
    },
  };
}

/** From an hour ago, for clocks that go a little wrong. */
function validity(now: number, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  const notBefore = now - 3_600_000;
  return { notBefore: new Date(notBefore), notAfter: new Date(notBefore + days * dayMs) };
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

function derOf(pem: string): ArrayBuffer {
  const [der] = x509.PemConverter.decode(pem);
  if (der === undefined) throw new Error("The local CA's key holds no PEM block.");
  return der;
}
