@echo off
call "%~dp0launch.bat" train_massive %*
exit /b %ERRORLEVEL%
