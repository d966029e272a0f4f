"""Sources of documents: a module or package here that binds RESEARCH to a `ResearchSource` is one."""
