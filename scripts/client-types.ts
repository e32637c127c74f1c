// The declarations of the client's package: what tsc writes for its entries, without what belongs to servers. Of the
// files under bus/ some describe messages by zod, which a game does not have: what needs it is left out.

import { dirname, relative, resolve } from 'node:path';
import ts from 'typescript';
import { repository } from './stack/servers.ts';

/**
 * Declaration files by path from the root of the repository. Throws when the sources have faults, or when a type of the
 * client itself would need a package.
 */
export function clientTypes(entries: readonly string[]): Map<string, string> {
  const configFile = ts.readConfigFile(resolve(repository, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(configFile.config, ts.sys, repository);
  const program = ts.createProgram(
    entries.map((entry) => resolve(repository, entry)),
    {
      ...options,
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      rootDir: repository,
      outDir: '/',
    },
  );
  const faults = ts.getPreEmitDiagnostics(program);
  if (faults.length > 0) {
    const host = {
      getCanonicalFileName: (f: string) => f,
      getCurrentDirectory: () => repository,
      getNewLine: () => '\n',
    };
    throw new Error(ts.formatDiagnostics(faults, host));
  }
  const written = new Map<string, string>();
  program.emit(undefined, (path, text) => written.set(relative('/', path), text));
  const packed = new Set([...written.keys()].map((path) => path.replace(/\.d\.ts$/, '.ts')));
  for (const [path, text] of written) {
    const own = withoutPackages(path, text, packed);
    if (path.startsWith('client/') && own.dropped.length > 0)
      throw new Error(`${path}: ${own.dropped.join(', ')} would need a package that games do not have`);
    written.set(path, own.text.replace(/(from '\.[^']*)\.ts'/g, "$1.js'"));
  }
  return written;
}

/** Leaves out every statement that names something from outside of the package, and what names that. */
function withoutPackages(path: string, text: string, packed: ReadonlySet<string>) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const foreign = new Set<string>();
  let statements = source.statements.filter((statement) => {
    if (!ts.isImportDeclaration(statement)) return true;
    const from = (statement.moduleSpecifier as ts.StringLiteral).text;
    if (from.startsWith('.') && packed.has(relative('.', resolve(dirname(path), from)))) return true;
    for (const name of namesIn(statement)) foreign.add(name);
    return false;
  });
  const dropped: string[] = [];
  for (let before = -1; before !== statements.length; ) {
    before = statements.length;
    statements = statements.filter((statement) => {
      if (![...namesIn(statement)].some((name) => foreign.has(name))) return true;
      for (const name of declaredBy(statement)) {
        foreign.add(name);
        dropped.push(name);
      }
      return false;
    });
  }
  return { dropped, text: `${statements.map((statement) => statement.getFullText(source)).join('')}\n` };
}

function namesIn(node: ts.Node, names = new Set<string>()): Set<string> {
  if (ts.isIdentifier(node)) names.add(node.text);
  node.forEachChild((child) => void namesIn(child, names));
  return names;
}

function declaredBy(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  const { name } = statement as { name?: ts.Node };
  return name ? [name.getText()] : [];
}
