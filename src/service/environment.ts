// What services are made of: the databases they serve, and who they say they are.
import type { Database } from "../database/index.js";
import { databaseField } from "./request.js";
import type { WorkBudgetLimits } from "./work-budget.js";

/** What the services stand on. */
export interface ServiceEnvironment {
  /**
   * The open database of a name that is well-formed. It stays open for at least as long as calls that use it run.
   * @throws NotFound - no database of that name
   */
  readonly database: (name: string) => Promise<Database>;
  /** Version of the server, SemVer. */
  readonly version: string;
  /** What large reads may hold together. Default: as core/limits.ts has it. */
  readonly workBudget?: Partial<WorkBudgetLimits> | undefined;
}

/**
 * The database that a request names.
 * @throws InvalidArgument - not a name; `path` leads to the field in the request
 * @throws NotFound - no such database
 */
export async function openDatabase(
  environment: ServiceEnvironment,
  request: { readonly database: string },
  path = "database",
): Promise<Database> {
  return environment.database(databaseField(request.database, path));
}
