/** The configuration that `workerd serve` is given: one Worker with its objects, on one socket of this machine. */

export interface ObjectBinding {
  /** The binding's name in the Worker's env. */
  readonly binding: string;
  readonly className: string;
}

export interface WorkerdConfig {
  /** On 127.0.0.1; 0: the system chooses. */
  readonly port: number;
  /** The module's file name, beside this configuration's file. */
  readonly moduleFile: string;
  readonly objects: readonly ObjectBinding[];
  readonly variables: Readonly<Record<string, string>>;
  /** Of the objects' databases: absolute, and existing. */
  readonly dataDirectory: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
}

export const SOCKET_NAME = 'http';

/** Cap'n Proto text. https://github.com/cloudflare/workerd/blob/main/src/workerd/server/workerd.capnp */
export function workerdConfig(config: WorkerdConfig): string {
  const { objects, variables } = config;
  const namespaces = objects.map(
    ({ className }) => `(className = ${quoted(className)}, uniqueKey = ${quoted(className)}, enableSql = true)`,
  );
  const bindings = [
    ...objects.map(
      ({ binding, className }) => `(name = ${quoted(binding)}, durableObjectNamespace = ${quoted(className)})`,
    ),
    ...Object.entries(variables).map(([name, value]) => `(name = ${quoted(name)}, text = ${quoted(value)})`),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "data", disk = (path = ${quoted(config.dataDirectory)}, writable = true)),
    (name = "internet", network = (allow = [])),
  ],
  sockets = [(name = "${SOCKET_NAME}", address = "127.0.0.1:${config.port}", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  modules = [(name = ${quoted(config.moduleFile)}, esModule = embed ${quoted(config.moduleFile)})],
  compatibilityDate = ${quoted(config.compatibilityDate)},
  compatibilityFlags = [${config.compatibilityFlags.map(quoted).join(', ')}],
  durableObjectNamespaces = [
    ${namespaces.join(',\n    ')}
  ],
  durableObjectStorage = (localDisk = "data"),
  bindings = [
    ${bindings.join(',\n    ')}
  ],
);
`;
}

/** A literal of Cap'n Proto's text, whose escapes are those of C; other characters stand as they are, in UTF-8. */
export function quoted(text: string): string {
  const escaped = text.replaceAll(/["\\]/g, '\\$&');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what cannot stand in a literal
  return `"${escaped.replaceAll(/[\x00-\x1f\x7f]/g, (found) => `\\x${found.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;
}
