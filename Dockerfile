# One image for web, worker, sealer, beat and the one-shot set-up; docker-compose.yml gives each its command.
FROM python:3.11-slim

RUN useradd --system --uid 10001 --no-create-home tokenledger \
    && install --directory --owner tokenledger --mode 0700 /data /sealer
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .

ENV TOKENLEDGER_HOME=/data PYTHONUNBUFFERED=1
USER tokenledger
EXPOSE 8000
