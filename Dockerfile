# The portal's image: web server, worker and scheduler are three commands of it.
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install --require-hashes -r requirements.txt

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XACCT_DATA_DIR=/app/var \
    GRANIAN_HOST=0.0.0.0 \
    GRANIAN_PORT=8000 \
    GRANIAN_INTERFACE=wsgi \
    GRANIAN_WORKERS=2 \
    GRANIAN_BLOCKING_THREADS=8 \
    GRANIAN_RESPAWN_FAILED_WORKERS=true
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin portal
WORKDIR /app
COPY --from=build /venv /venv
COPY manage.py LICENSE ./
COPY xacct_portal xacct_portal
COPY roles roles
COPY templates templates
COPY static static
# The key exists for this line only: collecting files signs nothing.
RUN SECRET_KEY=only-while-the-image-is-built-and-never-when-it-runs python manage.py collectstatic --noinput \
    && chown -R portal /app/var
USER portal
EXPOSE 8000
CMD ["granian", "xacct_portal.wsgi:application"]
