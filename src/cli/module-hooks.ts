import module from "node:module";
import { pathToFileURL } from "node:url";

/** The parts of Node's module hooks that are used. They came with 22.15; before it there is only `register`. */
interface ModuleHooks {
  readonly registerHooks?: (hooks: { readonly resolve: Resolve }) => unknown;
  readonly register: (specifier: string) => void;
}

type Resolve = (specifier: string, context: ResolveContext, next: NextResolve) => unknown;
type NextResolve = (specifier: string, context?: Partial<ResolveContext>) => unknown;
interface ResolveContext {
  readonly parentURL?: string;
}

/** Begins a specifier that is looked up as if it stood in the folder that the command runs in. */
const fromHere = "mooring-module:";

/** The running Mooring's own menu, in a checkout or in the package. */
const menu = new URL(import.meta.url.endsWith(".ts") ? "../index.ts" : "../index.mjs", import.meta.url).href;

/**
 * Makes `import "mooring"` in a person's module give the Mooring that runs, wherever that module stands: a second copy
 * would bring other classes, and in a checkout there is no package to find.
 */
export function hookModules(): void {
  const here = pathToFileURL(`${process.cwd()}/`).href;
  const hooks = module as unknown as ModuleHooks;
  if (hooks.registerHooks === undefined) {
    hooks.register(hooksAsModule(here));
    return;
  }
  hooks.registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "mooring") return next(menu, context);
      if (specifier.startsWith(fromHere))
        return next(specifier.slice(fromHere.length), { ...context, parentURL: here });
      return next(specifier, context);
    },
  });
}

/** The specifier by which a package is imported from where the command runs. */
export function specifierFromHere(name: string): string {
  return `${fromHere}${name}`;
}

/** The same hook for a Node without `registerHooks`, where it runs on a thread of its own. */
function hooksAsModule(here: string): string {
  const [mooring, prefix, parentURL] = [menu, fromHere, here].map((value) => JSON.stringify(value));
  const code = `export async function resolve(specifier, context, next) {
    if (specifier === "mooring") return next(${mooring}, context);
    if (specifier.startsWith(${prefix})) return next(specifier.slice(${fromHere.length}), { ...context, parentURL: ${parentURL} });
    return next(specifier, context);
  }`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}
