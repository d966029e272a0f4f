# Alpha Loop in a container: docker build -t alpha-loop . && docker run --rm alpha-loop --help
# The packages come from requirements.lock, each with its hash; those for development stay out. More of them:
# docker build --build-arg EXTRAS="--extra ray --extra postgres --extra s3" -t alpha-loop .
FROM python:3.12-slim AS environment
WORKDIR /app
COPY pyproject.toml requirements.lock ./
COPY scripts/launch.py scripts/
ARG EXTRAS=""
RUN python -m venv .venv \
    && python -c "import sys; sys.path.insert(0, 'scripts'); import launch; print(*map(launch.lock_entry, ('uv', 'setuptools')), sep='')" > build.txt \
    && .venv/bin/python -m pip install --no-cache-dir --quiet --require-hashes -r build.txt
RUN .venv/bin/uv pip install --python .venv/bin/python --no-cache --compile-bytecode --require-hashes \
        -r pyproject.toml -c requirements.lock $EXTRAS

FROM python:3.12-slim
# LightGBM and XGBoost need the OpenMP library, which the slim image lacks.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
ARG UID=1000
RUN useradd --create-home --uid "$UID" alpha
WORKDIR /app
ENV VIRTUAL_ENV=/app/.venv PATH=/app/.venv/bin:$PATH PYTHONUTF8=1 DVC_NO_ANALYTICS=1 DO_NOT_TRACK=true
COPY --from=environment /app/.venv .venv
COPY . .
# The launcher finds the environment complete; what commands write belongs to the user, the code does not.
RUN uv pip install --quiet --no-cache --no-deps --no-build-isolation --editable . \
    && python -c "import sys; sys.path.insert(0, 'scripts'); import launch; launch.STAMP.write_text(launch.stamp())" \
    && python -m compileall -q src \
    && mkdir -p data mlruns reports logs .dvc/cache .dvc/tmp \
    && chown -R alpha: data mlruns reports logs .dvc conf params.yaml \
    && chown alpha: .
USER alpha
VOLUME ["/app/data", "/app/mlruns", "/app/reports", "/app/logs"]
ENTRYPOINT ["alpha"]
CMD ["--help"]
